//! The `[signature]` table -> `Signature`.

use super::scheme::{Encoding, KeyForm};
use crate::wire::compile::{check_header_name, given_template, headers};
use crate::wire::dialect::{Header, Param};
use crate::wire::keys::Keys;
use crate::wire::template::{Place, Scope, Template};

/// How a dialect signs.
#[derive(Clone, Debug)]
pub(in crate::wire) struct Signature {
    pub(in crate::wire) header: String,
    /// Sent before `header`.
    pub(super) headers: Vec<Header>,
    pub(super) over: Template,
    pub(super) value: Template,
    pub(in crate::wire) join: Option<String>,
    pub(super) schemes: Vec<Scheme>,
    pub(in crate::wire) required: bool,
}

/// One way to sign, for secrets of one form.
#[derive(Clone, Debug)]
pub(super) struct Scheme {
    pub(super) key: KeyForm,
    pub(super) encoding: Encoding,
    /// What stands before and after each encoded signature.
    pub(super) before: String,
    pub(super) after: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    HmacSha256,
    Ed25519,
}

impl Signature {
    /// Reads the table; `None` when a fault leaves nothing to go on with.
    pub(in crate::wire) fn read(mut keys: Keys<'_, '_>, params: &[Param]) -> Option<Self> {
        let header = needed(&mut keys, "header", "X-Signature");
        if let Some(header) = header {
            check_header_name(&mut keys, "header", header);
        }
        let pairs = keys.pairs("headers").unwrap_or_default();
        let headers = headers(&mut keys, &pairs, Place::Signature, params);
        let over = needed(&mut keys, "over", "{{body}}");
        let over = over.map(|text| signed_text(&mut keys, "over", text, "body", params));
        let value = keys.text("value").unwrap_or("{{signatures}}");
        let value = signed_text(&mut keys, "value", value, "signatures", params);
        let join = keys.text("join").map(str::to_owned);
        let required = keys.flag("required").unwrap_or(true);
        let mut schemes = Vec::new();
        keys.listed_tables("schemes", |keys| schemes.extend(Scheme::read(keys)));
        if !keys.has("schemes") {
            let help = "add: schemes = [{ key = \"text\", algorithm = \"hmac-sha256\", encoding = \"hex\" }]";
            keys.fault("", "a signature needs `schemes`", Some(help.to_owned()));
        }
        let signature = over.zip(header).map(|(over, header)| {
            let signature = Self { header: header.to_owned(), headers, over, value, join, schemes, required };
            signature.check(&mut keys);
            signature
        });
        keys.finish();
        signature
    }

    /// The names of all headers it writes.
    pub(in crate::wire) fn header_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.headers.iter().map(|header| header.name.as_str()).chain([self.header.as_str()])
    }

    /// A receiver has the body and the headers, nothing else: could it check this?
    fn check(&self, keys: &mut Keys<'_, '_>) {
        if self.headers.iter().any(|header| header.name.eq_ignore_ascii_case(&self.header)) {
            keys.fault("headers", format!("the header `{}` is there twice", self.header), None);
        }
        let carried: Vec<&Template> = self.headers.iter().map(|header| &header.value).chain([&self.value]).collect();
        if !carried.iter().all(|template| template.can_be_captured()) {
            let help = "put a character between the placeholders";
            keys.fault("", "two placeholders touch, so that nobody could read them back", Some(help.to_owned()));
        }
        let is_carried = |wanted| carried.iter().any(|template| template.placeholders().any(|one| one == wanted));
        if !self.over.placeholders().filter(|one| !one.is_given()).all(is_carried) {
            let help = "put it into `headers` or `value`, written the same way";
            keys.fault("over", "what is signed does not reach the receiver", Some(help.to_owned()));
        }
        let signatures = self.value.placeholders().filter(|placeholder| placeholder.is_given()).count();
        if signatures != 1 {
            keys.fault("value", "the value must hold {{signatures}} once", None);
        }
        if self.join.as_ref().is_some_and(String::is_empty) {
            keys.fault("join", "signatures need something between them", Some("use \" \" or \",\"".to_owned()));
        }
    }
}

impl Scheme {
    fn read(mut keys: Keys<'_, '_>) -> Option<Self> {
        let forms = [("text", KeyForm::Text), ("whsec", KeyForm::Whsec), ("whsk", KeyForm::Whsk)];
        let algorithms = [("hmac-sha256", Algorithm::HmacSha256), ("ed25519", Algorithm::Ed25519)];
        let encodings = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
        for (key, example) in [("key", "text"), ("algorithm", "hmac-sha256"), ("encoding", "hex")] {
            needed(&mut keys, key, example);
        }
        let key = keys.choice("key", &forms);
        let algorithm = keys.choice("algorithm", &algorithms);
        let encoding = keys.choice("encoding", &encodings);
        if let (Some(key), Some(algorithm)) = (key, algorithm)
            && (key == KeyForm::Whsk) != (algorithm == Algorithm::Ed25519)
        {
            let help = "whsk goes with ed25519, text and whsec with hmac-sha256".to_owned();
            keys.fault("algorithm", "the algorithm cannot use this form of key", Some(help));
        }
        let each = keys.text("each").unwrap_or("{{signature}}");
        let parts = each.split_once("{{signature}}");
        let plain = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.contains("{{");
        if !parts.is_some_and(|(before, after)| plain(before) && plain(after)) {
            let help = "write plain text around it: v1,{{signature}}".to_owned();
            keys.fault("each", "it must hold {{signature}} once and no other placeholder", Some(help));
        }
        keys.finish();
        let (before, after) = parts?;
        Some(Self { key: key?, encoding: encoding?, before: before.to_owned(), after: after.to_owned() })
    }
}

fn needed<'a>(keys: &mut Keys<'a, '_>, key: &'static str, example: &str) -> Option<&'a str> {
    if !keys.has(key) {
        keys.fault("", format!("`{key}` is missing"), Some(format!("add: {key} = \"{example}\"")));
        return None;
    }
    keys.text(key)
}

fn signed_text(keys: &mut Keys<'_, '_>, key: &str, text: &str, given: &'static str, params: &[Param]) -> Template {
    given_template(keys, key, text, Scope { place: Place::Signature, params, given: Some(given) })
}
