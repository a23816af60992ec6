//! What is measured, for Prometheus: one table of all metrics, and the words for their labels.
//!
//! No label holds a person, a user name, a token or anything else that somebody outside can choose:
//! such a metric would tell whose it is, and grow without bound.

mod process;
mod table;

pub use table::{METRICS, Metric, MetricKind, render_reference};

use crate::{audit::Event, clock::Timestamp, policy::Decision};
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use std::time::Duration;

/// Upper ends of the buckets of all histograms, in seconds: from what a cache answers to the longest
/// that a request may take.
pub const BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// The measurements of this process.
#[derive(Clone)]
pub struct Measures(PrometheusHandle);

impl Measures {
    /// Begins to measure in a process that started at this time. Before that, and without it, measuring
    /// costs next to nothing.
    ///
    /// # Errors
    /// When the process measures already.
    pub fn begin(started: Timestamp) -> Result<Self, BuildError> {
        let handle = PrometheusBuilder::new().set_buckets(&BUCKETS)?.install_recorder()?;
        describe();
        gauge!("motley_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        // Exact for all times that there will be.
        #[allow(clippy::cast_precision_loss)]
        gauge!("process_start_time_seconds").set(started.0 as f64);
        Ok(Self(handle))
    }

    /// Everything in the text format of Prometheus.
    pub fn render(&self) -> String {
        process::measure();
        self.0.render()
    }

    /// Keeps the histograms small; to be called every few seconds.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

/// Tells what each metric means, and lets those without labels begin at nought.
fn describe() {
    for metric in METRICS {
        match metric.kind {
            MetricKind::Counter => {
                metrics::describe_counter!(metric.name, metric.help);
                if metric.labels.is_empty() {
                    counter!(metric.name).absolute(0);
                }
            }
            MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            MetricKind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}

/// Something was written to the audit trail.
pub fn event(event: &Event) {
    match event {
        Event::OneTimePasswordIssued { .. } | Event::CodeIssued { .. } => {
            one_time_password("issued")
        }
        Event::Suspended { .. } => suspension("suspended"),
        Event::Resumed { .. } => suspension("resumed"),
        _ => {}
    }
}

fn suspension(change: &'static str) {
    counter!("motley_suspensions_total", "change" => change).increment(1);
}

/// The audit trail could not be written.
pub fn audit_failure() {
    counter!("motley_audit_failures_total").increment(1);
}

/// Something happened to a one-time password: `issued`, `redeemed` or `refused`.
pub fn one_time_password(event: &'static str) {
    counter!("motley_otp_total", "event" => event).increment(1);
}

/// A login conversation ended: `granted`, `refused` or `error`.
pub fn login(result: &'static str) {
    counter!("motley_logins_total", "result" => result).increment(1);
}

/// A login was refused, for a reason of a closed set of words.
pub fn login_refusal(reason: &'static str) {
    counter!("motley_login_refusals_total", "reason" => reason).increment(1);
}

/// Somebody was found to be authorised, or not.
pub fn authorisation(decision: &Decision) {
    let word = if decision.is_granted() { "granted" } else { "refused" };
    counter!("motley_authorisation_total", "decision" => word).increment(1);
}

/// A deployment ended: a state of an account, or `failed`.
pub fn deployment(outcome: &'static str, took: Duration) {
    counter!("motley_deployments_total", "outcome" => outcome).increment(1);
    histogram!("motley_deploy_seconds").record(took.as_secs_f64());
}

/// Something happened to a request for approval: `requested`, `accepted`, `rejected`, `forgotten` or
/// `expired`.
pub fn approval(event: &'static str) {
    counter!("motley_approvals_total", "event" => event).increment(1);
}

/// So many requests wait for an admin.
pub fn approvals_pending(count: u64) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    gauge!("motley_approvals_pending").set(f64::from(count));
}

/// The configuration was loaded anew, or not: `ok` or `failed`.
pub fn reload(outcome: &'static str) {
    counter!("motley_reload_total", "outcome" => outcome).increment(1);
}
