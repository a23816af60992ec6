//! The table of all metrics, from which their descriptions and `docs/metrics.md` come.

use std::fmt::Write;

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts durations in seconds by their length.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it counts, and the words of its labels.
    pub help: &'static str,
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: MetricKind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, labels, help }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: MetricKind::Histogram, labels, help }
}

/// All metrics.
pub const METRICS: &[Metric] = &[
    counter(
        "motley_http_requests_total",
        &["route", "method", "status"],
        "REST requests answered. route is one of the interface, or other",
    ),
    histogram("motley_http_request_seconds", &["route"], "Time to answer a REST request"),
    gauge(
        "motley_http_connections",
        &[],
        "HTTP connections, those for health and metrics included",
    ),
    counter(
        "motley_http_connections_cut_total",
        &[],
        "Connections that gave their place to others, or got none because their source has too many",
    ),
    counter(
        "motley_http_refused_total",
        &["whose"],
        "REST requests answered 429, by whose limit it was: source, identity or token",
    ),
    counter("motley_tls_handshakes_total", &["outcome"], "TLS handshakes: done, failed or slow"),
    gauge(
        "motley_tls_certificate_expiry_seconds",
        &[],
        "When the certificate that is served ends, in seconds since 1970",
    ),
    counter(
        "motley_tls_reload_total",
        &["outcome"],
        "Changes of certificate or key that were taken over: ok or failed",
    ),
    counter(
        "motley_logins_total",
        &["result"],
        "Login conversations with the PAM module: granted, refused or error",
    ),
    counter(
        "motley_login_refusals_total",
        &["reason"],
        "Logins that were not granted, by reason: token, token_expired, provider_unreachable, \
         one_time_password, other_identity, other_account, not_authorised, other_name, replayed, \
         state, failed, throttled, withheld, malformed, slow, audit",
    ),
    counter(
        "motley_authorisation_total",
        &["decision"],
        "Decisions whether an identity may use the service: granted or refused",
    ),
    counter(
        "motley_token_verifications_total",
        &["outcome"],
        "Tokens presented: good, or the kind of refusal",
    ),
    counter(
        "motley_token_cache_total",
        &["result"],
        "Whether the outcome for a token was remembered: hit, refused (a remembered refusal) or miss",
    ),
    counter(
        "motley_provider_requests_total",
        &["issuer", "kind", "outcome"],
        "Requests to configured providers: discovery, jwks, userinfo or introspection; ok, or what \
         went wrong",
    ),
    histogram(
        "motley_provider_request_seconds",
        &["issuer", "kind"],
        "Time of a request to a provider",
    ),
    counter(
        "motley_deployments_total",
        &["outcome"],
        "Deployments by the state of the account afterwards, or failed",
    ),
    counter(
        "motley_approvals_total",
        &["event"],
        "Requests for approval: requested, accepted, rejected, forgotten or expired",
    ),
    gauge("motley_approvals_pending", &[], "Requests that wait for an admin"),
    histogram("motley_deploy_seconds", &[], "Time of a deployment"),
    counter(
        "motley_tasks_total",
        &["task", "outcome"],
        "Tasks of the account back end: ok, refused, busy, failed or unavailable",
    ),
    histogram(
        "motley_task_seconds",
        &["task"],
        "Time of a task of the account back end, waiting for the root helper included",
    ),
    gauge(
        "motley_tasks_waiting",
        &[],
        "Tasks that the account back end works on, or that wait for it",
    ),
    counter("motley_otp_total", &["event"], "One-time passwords: issued, redeemed or refused"),
    counter("motley_suspensions_total", &["change"], "Identities suspended and resumed"),
    counter(
        "motley_audit_failures_total",
        &[],
        "Events that could not be written to the audit trail",
    ),
    counter("motley_reload_total", &["outcome"], "Configurations loaded anew: ok or failed"),
    gauge("motley_limited_sources", &[], "Sources whose requests are being counted"),
    gauge("motley_limited_identities", &[], "Identities whose requests are being counted"),
    gauge("motley_build_info", &["version"], "The running version; always 1"),
    gauge("process_resident_memory_bytes", &[], "Memory of the process that is in RAM"),
    gauge("process_open_fds", &[], "Open file descriptors"),
    gauge(
        "process_start_time_seconds",
        &[],
        "When the process began to measure, in seconds since 1970",
    ),
];

/// The page of documentation about them.
pub fn render_reference() -> String {
    let mut page = "# Metrics\n\n\
        Served at `/metrics` where `[admin] listen` says. No label holds a person, a user name or\n\
        anything else that somebody outside can choose.\n\n\
        | metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for metric in METRICS {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a String can't fail.
        let _ = writeln!(
            page,
            "| `{}` | {kind} | {} | {} |",
            metric.name,
            labels.join(", "),
            metric.help
        );
    }
    page
}
