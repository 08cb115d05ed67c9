//! Series for charts, on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::text;
use crate::model::Timestamp;

/// Which series are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatsMetric {
    /// Attempts by the class of their outcome.
    Attempts,
    /// Deliveries that were delivered, and that failed.
    Deliveries,
    /// How long attempts took.
    Durations,
    /// Deliveries that wait.
    Pending,
}

impl StatsMetric {
    pub const ALL: [Self; 4] = [Self::Attempts, Self::Deliveries, Self::Durations, Self::Pending];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Deliveries => "deliveries",
            Self::Durations => "durations",
            Self::Pending => "pending",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == name)
    }
}

/// What happened lately. The memory of it begins with the process: minutes for a day, hours for ninety.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// `null`: all of them.
    pub metric: Option<StatsMetric>,
    #[serde(with = "text")]
    pub since: Timestamp,
    pub step_s: u64,
    /// Oldest first; stretches in which nothing happened are left out.
    pub data: Vec<StatsPoint>,
}

/// One stretch of `step_s` seconds; members that were not asked for are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatsPoint {
    /// When it begins.
    #[serde(with = "text")]
    pub at: Timestamp,
    /// By class: `success`, `http_3xx`, `http_4xx`, `http_5xx`, `timeout`, `connection`, `tls`, `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<BTreeMap<String, u32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<u32>,
    /// Failed or unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<u32>,
    /// Half of the attempts took no longer, to the next step of a fixed scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<u32>,
    /// The most that waited when it was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<u64>,
}
