//! What a parsed condition must satisfy before it may judge events: shallow enough for any thread's stack, only
//! functions that exist, and loops that cannot run away.

use std::sync::{Arc, OnceLock};

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue};
use cel::{Context, Env, ExecutionError, Value};

/// Deepest nesting of an expression. The evaluator recurses once per level and wants up to 40 KiB of stack for each
/// in an unoptimised build; threads have 2 MiB.
pub(super) const MAX_DEPTH: usize = 32;

/// The function wrapped around whatever a loop runs over; its name cannot be written in a condition.
pub(super) const ELEMENTS: &str = "@elements";

/// Functions and methods people may have meant.
const FUNCTIONS: [&str; 19] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "type",
    "dyn",
    "has",
    "all",
    "exists",
    "exists_one",
    "map",
    "filter",
];

/// The standard functions, macros and types of CEL, without time.
pub(super) fn environment() -> Arc<Env> {
    static ENVIRONMENT: OnceLock<Arc<Env>> = OnceLock::new();
    Arc::clone(ENVIRONMENT.get_or_init(|| Arc::new(Env::stdlib())))
}

/// A fault and the id of the node that has it.
pub(super) type Fault = (u64, String);

/// Levels below and including `expr`, counted no further than past the limit.
pub(super) fn check_depth(expr: &mut IdedExpr, level: usize) -> Result<(), Fault> {
    if level > MAX_DEPTH {
        return Err((expr.id, format!("nested more than {MAX_DEPTH} levels deep; write it flatter")));
    }
    children(expr).into_iter().try_for_each(|child| check_depth(child, level + 1))
}

/// Refuses calls to functions that do not exist and regular expressions that do not compile.
pub(super) fn check_calls(expr: &mut IdedExpr) -> Result<(), Fault> {
    if let Expr::Call(call) = &expr.expr {
        check_call(call).map_err(|message| (expr.id, message))?;
    }
    children(expr).into_iter().try_for_each(check_calls)
}

fn check_call(call: &CallExpr) -> Result<(), String> {
    let name = call.func_name.as_str();
    let is_operator = !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_qualified =
        matches!(call.target.as_deref(), Some(IdedExpr { expr: Expr::Ident(root), .. }) if root == "optional");
    if is_operator || is_qualified {
        return Ok(());
    }
    let is_method = call.target.is_some();
    if !exists(name, is_method) {
        return Err(match (exists(name, !is_method), is_method) {
            (true, true) => format!("`{name}` is a function, not a method: {name}(data.field)"),
            (true, false) => format!("`{name}` is a method, not a function: data.field.{name}(...)"),
            (false, _) => unknown_function(name),
        });
    }
    match (name, call.args.last()) {
        ("matches", Some(pattern @ IdedExpr { expr: Expr::Literal(_), .. })) => check_regex(pattern),
        _ => Ok(()),
    }
}

/// The library does not list its functions; called without arguments, one that exists complains of those instead.
fn exists(name: &str, as_method: bool) -> bool {
    let target = as_method.then(|| Box::new(literal(LiteralValue::Null)));
    let call = CallExpr { func_name: name.to_owned(), target, args: Vec::new() };
    !matches!(run(Expr::Call(call)), Err(ExecutionError::UndeclaredReference(_)))
}

fn check_regex(pattern: &IdedExpr) -> Result<(), String> {
    let args = vec![literal(LiteralValue::String("".into())), pattern.clone()];
    match run(Expr::Call(CallExpr { func_name: "matches".to_owned(), target: None, args })) {
        Err(ExecutionError::FunctionError { message, .. }) => Err(message),
        _ => Ok(()),
    }
}

fn run(expr: Expr) -> Result<Value, ExecutionError> {
    Value::resolve(&IdedExpr { id: 0, expr }, &Context::with_env(environment()))
}

fn literal(value: LiteralValue) -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::Literal(value) }
}

fn unknown_function(name: &str) -> String {
    match name {
        "has" => "`has` takes one field: has(data.status)".to_owned(),
        "all" | "exists" | "exists_one" | "map" | "filter" => {
            format!("`{name}` is called on a list with a name and an expression: data.items.{name}(item, item.qty > 0)")
        }
        "timestamp" | "duration" => {
            format!("there is no function `{name}`; RFC 3339 times in UTC compare as text: time > \"2026-01-01\"")
        }
        _ => format!("there is no function `{name}`{}", did_you_mean(name, &FUNCTIONS)),
    }
}

/// `; did you mean ...?` when one of `known` is close enough to `name` to be a slip.
pub(super) fn did_you_mean(name: &str, known: &[&str]) -> String {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 5)
        .min()
        .map_or(String::new(), |(_, candidate)| format!("; did you mean `{candidate}`?"))
}

/// Wraps the range of every loop in [`ELEMENTS`], which counts what loops are about to visit. Returns whether there
/// is any loop.
pub(super) fn count_loops(expr: &mut IdedExpr) -> bool {
    let mut found = false;
    if let Expr::Comprehension(comprehension) = &mut expr.expr {
        let range = std::mem::take(&mut comprehension.iter_range);
        let call = CallExpr { func_name: ELEMENTS.to_owned(), target: None, args: vec![range] };
        comprehension.iter_range = IdedExpr { id: expr.id, expr: Expr::Call(call) };
        found = true;
    }
    for child in children(expr) {
        found |= count_loops(child);
    }
    found
}

fn children(expr: &mut IdedExpr) -> Vec<&mut IdedExpr> {
    match &mut expr.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Select(select) => vec![&mut *select.operand],
        Expr::Call(call) => call.target.as_deref_mut().into_iter().chain(&mut call.args).collect(),
        Expr::Comprehension(loops) => {
            let loops = &mut **loops;
            vec![
                &mut loops.iter_range,
                &mut loops.accu_init,
                &mut loops.loop_cond,
                &mut loops.loop_step,
                &mut loops.result,
            ]
        }
        Expr::List(list) => list.elements.iter_mut().collect(),
        Expr::Map(map) => map.entries.iter_mut().flat_map(entry_children).collect(),
        Expr::Struct(object) => object.entries.iter_mut().flat_map(entry_children).collect(),
    }
}

fn entry_children(entry: &mut IdedEntryExpr) -> Vec<&mut IdedExpr> {
    match &mut entry.expr {
        EntryExpr::StructField(field) => vec![&mut field.value],
        EntryExpr::MapEntry(entry) => vec![&mut entry.key, &mut entry.value],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suggested_function_exists() {
        let macros = ["has", "all", "exists", "exists_one", "map", "filter"];
        for name in FUNCTIONS.into_iter().filter(|name| !macros.contains(name)) {
            assert!(exists(name, false) || exists(name, true), "{name}");
        }
        assert!(!exists("frobnicate", false) && !exists("frobnicate", true));
    }

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        assert_eq!(did_you_mean("startswith", &FUNCTIONS), "; did you mean `startsWith`?");
        assert_eq!(did_you_mean("dta", &["data", "old"]), "; did you mean `data`?");
        assert_eq!(did_you_mean("frobnicate", &FUNCTIONS), "");
    }
}
