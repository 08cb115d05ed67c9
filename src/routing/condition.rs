//! CEL conditions (cel-spec, language definition) and their answers for events. A missing field, a type that does not
//! fit or a panic in the library is an answer with a reason, never a failure of ours.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use cel::common::types::CelBool;
use cel::common::value::CowVal;
use cel::{Context, ExecutionError, FunctionContext, Value};

use super::check::{ELEMENTS, did_you_mean, environment};
use super::context::{EventContext, NAMES};
use super::parse::{Parsed, parse};

/// Longest condition in bytes.
pub const MAX_CONDITION_BYTES: usize = 4096;

/// Elements that the loops of one evaluation may visit together: well under a second on a slow machine.
const MAX_ELEMENTS: u64 = 200_000;

/// Why a condition is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConditionError {
    pub message: String,
    /// Byte in the condition's text where it goes wrong.
    pub offset: usize,
}

/// What a condition says of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evaluation {
    True,
    /// The part of the condition's text (bytes) that is false: one operand of its outermost `&&`, or all of it.
    False(Range<usize>),
    /// It has no answer for this event, and why.
    Error(String),
}

/// A condition ready to judge events.
pub struct Condition {
    text: String,
    parsed: Parsed,
}

impl Condition {
    /// Reads and checks a condition. It may name any field, since events differ, but only functions that exist.
    pub fn compile(text: &str) -> Result<Self, ConditionError> {
        if text.trim().is_empty() {
            return Err(ConditionError {
                message: "the condition is empty; leave it out instead".to_owned(),
                offset: 0,
            });
        }
        if text.len() > MAX_CONDITION_BYTES {
            let message = format!("the condition is longer than {MAX_CONDITION_BYTES} bytes");
            return Err(ConditionError { message, offset: 0 });
        }
        Ok(Self { text: text.to_owned(), parsed: parse(text)? })
    }

    /// The condition as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Judges one event. Like CEL's `&&`: false wins over a part that has no answer.
    pub fn evaluate(&self, event: &EventContext<'_>) -> Evaluation {
        catch_unwind(AssertUnwindSafe(|| self.evaluate_operands(event)))
            .unwrap_or_else(|_| Evaluation::Error("the expression library failed on this event".to_owned()))
    }

    fn evaluate_operands(&self, event: &EventContext<'_>) -> Evaluation {
        let mut context = Context::with_env(environment());
        context.set_variable_resolver(event);
        if self.parsed.has_loops {
            context.add_function(ELEMENTS, element_counter()).expect("the name is not in the standard library");
        }
        let mut reason = None;
        for (operand, range) in &self.parsed.operands {
            match Value::resolve_val(operand, &context) {
                Ok(value) => match value.downcast_ref::<CelBool>() {
                    Some(answer) if *answer.inner() => {}
                    Some(_) => return Evaluation::False(range.clone()),
                    None => {
                        let kind = value.get_type().name().to_owned();
                        reason.get_or_insert(format!(
                            "`{}` is not true or false but a {kind}",
                            &self.text[range.clone()]
                        ));
                    }
                },
                Err(error) => {
                    reason.get_or_insert_with(|| event.unreadable().unwrap_or_else(|| explain(&error)));
                }
            }
        }
        reason.map_or(Evaluation::True, Evaluation::Error)
    }
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Condition").field(&self.text).finish()
    }
}

type Function = Box<
    dyn for<'context, 'call> Fn(
            &mut FunctionContext<'context, 'call>,
        ) -> Result<CowVal<'context, 'call>, ExecutionError>
        + Send
        + Sync,
>;

/// Hands its one argument on and fails once more elements than allowed were handed to loops.
fn element_counter() -> Function {
    let visited = AtomicU64::new(0);
    Box::new(move |call| {
        let range = call.args.pop().ok_or_else(ExecutionError::missing_argument_or_target)?;
        let size = range.as_sizer().map_or(0, |range| u64::try_from(*range.size().inner()).unwrap_or(0));
        if visited.fetch_add(size, Ordering::Relaxed) + size > MAX_ELEMENTS {
            return Err(ExecutionError::function_error(
                "loop",
                format!("more than {MAX_ELEMENTS} elements to look at"),
            ));
        }
        Ok(range)
    })
}

/// An evaluation error as a reason for a person. The library's own texts may quote whole records; these do not.
fn explain(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::UndeclaredReference(name) => {
            format!("the event has no field `{name}`{}", did_you_mean(name, &NAMES))
        }
        ExecutionError::NoSuchOverload(overload) => {
            let operator = overload.function().trim_matches(['_', '@']);
            let operator = if operator == "." { "a field" } else { operator };
            format!("`{operator}` does not apply to ({})", overload.argument_types().join(", "))
        }
        ExecutionError::UnsupportedBinaryOperator(operator, ..) => {
            format!("`{operator}` does not apply to these types; convert with double(...), int(...) or string(...)")
        }
        ExecutionError::UnexpectedType { got, want } if want == "bool" => format!("expected true or false, got {got}"),
        ExecutionError::FunctionError { function, message } => {
            format!("{function}: {}", message.chars().take(200).collect::<String>())
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "the list is shorter than the index".to_owned(),
        ExecutionError::ValuesNotComparable(..) => "values of these types cannot be compared".to_owned(),
        _ => "the expression does not fit the types of this event's fields".to_owned(),
    }
}

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;
