//! CEL conditions (cel-spec, language definition): text to a checked expression, and an event to an answer.
//!
//! Parsing runs on a thread of its own, because the parser recurses deeply on odd input and a stack overflow cannot be
//! caught; what it accepts is then bounded ([`super::check`]) so that evaluation fits on any thread. A missing field, a
//! type that does not fit or a panic in the library is an answer with a reason, never a failure of ours.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use cel::common::ast::{Expr, IdedExpr, SourceInfo, operators};
use cel::common::types::CelBool;
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{Context, ExecutionError, FunctionContext, ParseErrors, Value};

use super::check::{ELEMENTS, check_calls, check_depth, count_loops, did_you_mean, environment};
use super::context::{EventContext, NAMES};

/// Longest condition in bytes.
pub const MAX_CONDITION_BYTES: usize = 4096;

/// Elements that the loops of one evaluation may visit together: well under a second on a slow machine.
const MAX_ELEMENTS: u64 = 200_000;

/// Stack for the parser: 4 KiB of brackets need 16 MiB in an unoptimised build. Only what is touched is allocated.
const PARSER_STACK_BYTES: usize = 64 << 20;

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
    /// Operands of the outermost `&&`, in order, with where they stand in the text.
    operands: Vec<(IdedExpr, Range<usize>)>,
    has_loops: bool,
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
            return Err(ConditionError { message, offset: MAX_CONDITION_BYTES });
        }
        let unusable =
            |what: &str| ConditionError { message: format!("the condition cannot be read: {what}"), offset: 0 };
        let source = text.to_owned();
        std::thread::Builder::new()
            .name("condition".to_owned())
            .stack_size(PARSER_STACK_BYTES)
            .spawn(move || parse(source))
            .map_err(|error| unusable(&format!("no thread to parse it on: {error}")))?
            .join()
            .unwrap_or_else(|_| Err(unusable("the expression parser gave up; write it more plainly")))
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
        if self.has_loops {
            context.add_function(ELEMENTS, element_counter()).expect("the name is not in the standard library");
        }
        let mut reason = None;
        for (operand, range) in &self.operands {
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
                    let explain = || event.unreadable().unwrap_or_else(|| explain(&error, event));
                    reason.get_or_insert_with(explain);
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

fn parse(text: String) -> Result<Condition, ConditionError> {
    let (mut root, places) =
        environment().parser().parse_with_source_info(&text).map_err(|errors| parse_error(&text, &errors))?;
    let place = |(id, message)| ConditionError {
        message,
        offset: places.offset_for(id).map_or(0, |(start, _)| start as usize),
    };
    check_depth(&mut root, 1).map_err(place)?;
    check_calls(&mut root).map_err(place)?;
    let has_loops = count_loops(&mut root);
    let operands = operands(&text, root, &places);
    Ok(Condition { text, operands, has_loops })
}

/// Flattens the outermost `&&` and cuts the text at its operators.
fn operands(text: &str, root: IdedExpr, places: &SourceInfo) -> Vec<(IdedExpr, Range<usize>)> {
    let (mut parts, mut cuts) = (Vec::new(), Vec::new());
    flatten(root, &mut parts, &mut cuts);
    let mut found = Vec::with_capacity(parts.len());
    let mut start = 0;
    for (index, part) in parts.into_iter().enumerate() {
        let cut = cuts.get(index).and_then(|&id| places.offset_for(id));
        let (end, next) = cut.map_or((text.len(), text.len()), |(first, last)| (first as usize, last as usize + 1));
        found.push((part, trimmed(text, start..end)));
        start = next;
    }
    found
}

fn flatten(expr: IdedExpr, parts: &mut Vec<IdedExpr>, cuts: &mut Vec<u64>) {
    match expr.expr {
        Expr::Call(mut call) if call.func_name == operators::LOGICAL_AND && call.args.len() == 2 => {
            let right = call.args.pop().expect("two arguments");
            let left = call.args.pop().expect("two arguments");
            flatten(left, parts, cuts);
            cuts.push(expr.id);
            flatten(right, parts, cuts);
        }
        other => parts.push(IdedExpr { id: expr.id, expr: other }),
    }
}

/// Without spaces around it, and without brackets that opened or close outside of it.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let mut part = text[range.clone()].trim();
    let count = |part: &str, bracket: char| part.matches(bracket).count();
    while part.starts_with('(') && count(part, '(') > count(part, ')') {
        part = part[1..].trim_start();
    }
    while part.ends_with(')') && count(part, ')') > count(part, '(') {
        part = part[..part.len() - 1].trim_end();
    }
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}

/// The parser counts characters.
fn byte_offset(text: &str, character: u32) -> usize {
    text.char_indices().nth(character as usize).map_or(text.len(), |(at, _)| at)
}

fn parse_error(text: &str, errors: &ParseErrors) -> ConditionError {
    let Some(first) = errors.errors.first() else {
        return ConditionError { message: "the condition cannot be read".to_owned(), offset: 0 };
    };
    let (line, column) = first.pos;
    let line_start: usize =
        text.split_inclusive('\n').take(usize::try_from(line - 1).unwrap_or(0)).map(|line| line.chars().count()).sum();
    let character = line_start + usize::try_from(column - 1).unwrap_or(0);
    let offset = byte_offset(text, u32::try_from(character).unwrap_or(u32::MAX));
    let message = first.msg.strip_prefix("Syntax error: ").unwrap_or(&first.msg);
    let message = if message.contains("Recursion limit") {
        "nested too deep; write it flatter"
    } else if offset >= text.len() || message.contains("'<EOF>' expecting") {
        "the condition ends too early"
    } else {
        message.split(" expecting {").next().unwrap_or(message)
    };
    ConditionError { message: message.chars().take(200).collect(), offset }
}

/// An evaluation error as a reason for a person. Values stay out of it: they are the event's.
fn explain(error: &ExecutionError, event: &EventContext<'_>) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::UndeclaredReference(name) => {
            let hint = if event.resolve(name).is_some() { String::new() } else { did_you_mean(name, &NAMES) };
            format!("the event has no field `{name}`{hint}")
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
        ExecutionError::FunctionError { function, message } => format!("{function}: {message}"),
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
