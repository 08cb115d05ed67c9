//! The text of a condition to a checked expression, or to where and why it is refused.
//!
//! Parsing runs on a thread of its own, because the parser recurses deeply on odd input and a stack overflow cannot be
//! caught; what it accepts is then bounded ([`super::check`]) so that evaluation fits on any thread.

use std::ops::Range;

use cel::ParseErrors;
use cel::common::ast::{Expr, IdedExpr, SourceInfo, operators};

use super::check::{check_calls, check_depth, count_loops, environment};
use super::condition::ConditionError;

/// Stack for the parser: 4 KiB of brackets need 16 MiB in an unoptimised build. Only what is touched is allocated.
const PARSER_STACK_BYTES: usize = 64 << 20;

/// A condition that passed every check.
pub(super) struct Parsed {
    /// Operands of the outermost `&&`, in order, with where they stand in the text (bytes).
    pub(super) operands: Vec<(IdedExpr, Range<usize>)>,
    /// Whether it calls [`super::check::ELEMENTS`].
    pub(super) has_loops: bool,
}

/// Parses and checks on a thread with room to recurse; a panic of the parser is a refusal.
pub(super) fn parse(text: &str) -> Result<Parsed, ConditionError> {
    let unusable = |what: &str| ConditionError { message: format!("the condition cannot be read: {what}"), offset: 0 };
    let source = text.to_owned();
    std::thread::Builder::new()
        .name("condition".to_owned())
        .stack_size(PARSER_STACK_BYTES)
        .spawn(move || parse_here(&source))
        .map_err(|error| unusable(&format!("no thread to parse it on: {error}")))?
        .join()
        .unwrap_or_else(|_| Err(unusable("the expression parser gave up; write it more plainly")))
}

fn parse_here(text: &str) -> Result<Parsed, ConditionError> {
    let (mut root, places) =
        environment().parser().parse_with_source_info(text).map_err(|errors| parse_error(text, &errors))?;
    let place = |(id, message)| ConditionError {
        message,
        offset: places.offset_for(id).map_or(0, |(start, _)| start as usize),
    };
    check_depth(&mut root, 1).map_err(place)?;
    check_calls(&mut root).map_err(place)?;
    let has_loops = count_loops(&mut root);
    Ok(Parsed { operands: operands(text, root, &places), has_loops })
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

/// Without spaces around it, and without brackets whose partner lies outside.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let Range { mut start, mut end } = range;
    loop {
        let part = &text[start..end];
        let (opened, closed) = (part.matches('(').count(), part.matches(')').count());
        match (part.chars().next(), part.chars().next_back()) {
            (Some(first), _) if first.is_whitespace() || first == '(' && opened > closed => start += first.len_utf8(),
            (_, Some(last)) if last.is_whitespace() || last == ')' && closed > opened => end -= last.len_utf8(),
            _ => return start..end,
        }
    }
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
