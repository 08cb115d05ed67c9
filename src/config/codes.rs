//! The stable codes of problems in a configuration and what each means, for people who look one up offline. A code is
//! never given a second meaning.

pub(super) const SYNTAX: &str = "E000";
pub(super) const UNKNOWN_KEY: &str = "E001";
pub(super) const WRONG_TYPE: &str = "E002";
pub(super) const UNKNOWN_WORD: &str = "E003";
pub(super) const MISSING: &str = "E004";
pub(super) const BAD_VALUE: &str = "E005";
pub(super) const GIVEN_TWICE: &str = "E006";
pub(super) const EXCLUDES: &str = "E007";
pub(super) const UNREADABLE: &str = "E008";
pub(super) const DUPLICATE_NAME: &str = "E010";
pub(super) const TOO_MANY: &str = "E011";
pub(super) const BAD_URL: &str = "E013";
pub(super) const NEEDS_HTTPS: &str = "E014";
pub(super) const BAD_HEADER: &str = "E015";
pub(super) const BAD_SECRET: &str = "E016";
pub(super) const BAD_TLS_FILE: &str = "E017";
pub(super) const EXPOSED: &str = "E018";
pub(super) const BAD_PATTERN: &str = "E020";
pub(super) const BAD_CONDITION: &str = "E021";
pub(super) const UNKNOWN_DIALECT: &str = "E030";
pub(super) const BAD_DIALECT: &str = "E031";
pub(super) const BAD_PARAM: &str = "E032";
pub(super) const NEVER_MATCHES: &str = "W001";
pub(super) const READABLE_BY_ALL: &str = "W002";
pub(super) const NO_EFFECT: &str = "W003";
pub(super) const BLOCKED: &str = "W004";
pub(super) const OUT_OF_FORCE: &str = "W005";
pub(super) const NOT_LOOKED_AT: &str = "W006";

/// Every code with its meaning.
const MEANINGS: &[(&str, &str)] = &[
    (SYNTAX, "The file is not TOML at this place. Nothing after it is trusted until it is mended."),
    (
        UNKNOWN_KEY,
        "No setting has this name here. Unknown keys are refused, because a typo must not be silently ignored.",
    ),
    (WRONG_TYPE, "The value has the wrong TOML type, such as a number where a string is expected."),
    (UNKNOWN_WORD, "The setting takes one word of a fixed list, and this is not on it."),
    (MISSING, "A setting without which the table means nothing is not there."),
    (BAD_VALUE, "The value has the right type but cannot be read, or lies outside the allowed range."),
    (GIVEN_TWICE, "Two files (or two tables) give the same setting. Only arrays of tables add up over conf.d."),
    (EXCLUDES, "Two settings that exclude each other are both given."),
    (UNREADABLE, "A file that the configuration names cannot be read."),
    (DUPLICATE_NAME, "Two subscriptions of one tenant, two tenants or two dialects have the same name."),
    (TOO_MANY, "A tenant has more subscriptions than it or the dialect allows."),
    (BAD_URL, "The URL is not an absolute http or https URL, or has a part that a webhook URL may not have."),
    (NEEDS_HTTPS, "The dialect or the tenant demands https. `allow_http = true` on the subscription lifts that."),
    (BAD_HEADER, "The header's name or value is not legal in HTTP, or the header belongs to the HTTP client."),
    (BAD_SECRET, "The secret is missing, empty, or not of the form the dialect signs with."),
    (BAD_TLS_FILE, "A certificate or key file holds nothing that can be used."),
    (EXPOSED, "The admin interface would listen beyond this machine without TLS."),
    (BAD_PATTERN, "The pattern is not dotted segments of letters, digits and _, or `*`, or `**`."),
    (BAD_CONDITION, "The condition is not a CEL expression over an event's fields."),
    (UNKNOWN_DIALECT, "No built-in dialect and no [dialect.NAME] table has this name."),
    (BAD_DIALECT, "A [dialect.NAME] table does not describe a dialect."),
    (BAD_PARAM, "A value in [subscription.params] is missing, not known to the dialect, or not one it takes."),
    (NEVER_MATCHES, "The dialect lists its event types and the pattern matches none of them. It is kept as written."),
    (READABLE_BY_ALL, "Every user of this machine can read a file that holds a secret."),
    (NO_EFFECT, "The setting is understood and has no effect beside another one."),
    (
        BLOCKED,
        "The URL leads to an address that nothing is sent to: deliveries end as blocked_address until `allow` of [network] \
         in config.toml names it.",
    ),
    (
        OUT_OF_FORCE,
        "A webhook made over the API is kept, and not in force: the configuration does not allow it, or a file took its name.",
    ),
    (NOT_LOOKED_AT, "The webhooks made over the API could not be read by whoever runs this, and are not checked."),
];

/// The meaning of `code` in one or two sentences; `None` for a code that does not exist.
pub fn explain(code: &str) -> Option<&'static str> {
    MEANINGS.iter().find(|(known, _)| *known == code).map(|(_, meaning)| *meaning)
}
