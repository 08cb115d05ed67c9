//! `config.toml` and `conf.d/*.toml` become a validated [`Config`], or a list of everything that is wrong with them.
//!
//! [`load()`] answers all or nothing, in one pass, each [`Problem`] with its place and what to do; [`diff`] says what a
//! new configuration changes in a running engine. What the user wrote (`reader.rs`, spanned tables) and what we run on
//! (`settings.rs`) are two things: no default is applied before everything has been read.

mod codes;
mod dialects;
mod disk;
mod document;
mod endpoint;
mod field;
mod load;
mod mask;
mod oauth;
mod params;
mod presets;
mod problems;
mod reader;
mod reload;
mod render;
mod report;
mod secrets;
mod sections;
mod settings;
mod show;
mod subscription;
mod tenants;
mod triggers;
mod values;
mod webhooks;

#[cfg(test)]
mod tests;

pub use codes::explain;
pub use load::{Loaded, load, load_text};
pub use mask::masked;
pub use problems::{Problem, Problems, Spot, problems_json};
pub use reload::{Changes, SubscriptionKey, diff};
pub use settings::{
    AdminConfig, Config, DeliveryDefaults, LogConfig, LoggingConfig, NetworkConfig, Proxy, Retention, SpoolConfig,
    StateConfig, TenantConfig,
};
pub use show::{shown, shown_json};
pub use values::{NetworkEntry, duration, rate, say_duration};
pub use webhooks::{
    Asker, Draft, FieldFault, Refusal, RequestKey, Webhooks, beside, change, create, merge, rotate, settle,
    webhooks_file,
};
