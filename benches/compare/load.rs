//! One load on a service: wrk for some seconds, with what the service used meanwhile.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use motley_tests::sandbox::Sandbox;
use serde::Deserialize;

use crate::stack::Stack;
use crate::usage;

const SCRIPT: &str = include_str!("requests.lua");

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) struct Load<'a> {
    /// Path and query.
    pub(crate) path: &'a str,
    /// Tokens, one after another; none for no `Authorization`.
    pub(crate) tokens: &'a [String],
    /// The order of the tokens.
    pub(crate) order: Order,
    /// Connections that are kept busy.
    pub(crate) connections: u32,
    /// For how long.
    pub(crate) seconds: u32,
}

/// The order of the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// From first to last and again.
    Turn,
    /// At random, so that each worker process of a service soon has seen each of them.
    Random,
}

/// What came of a load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Answers.
    pub(crate) requests: u64,
    /// Answers per second.
    pub(crate) rate: f64,
    /// Median of the times to the answer, in ms.
    pub(crate) p50: f64,
    /// 99th percentile of them, in ms; no figure for less than 100 answers.
    pub(crate) p99: Option<f64>,
    /// Processor time of the service for each answer, in ms.
    pub(crate) cpu: f64,
}

/// The line that the script writes.
#[derive(Deserialize)]
struct Told {
    requests: u64,
    microseconds: u64,
    p50: u64,
    p99: u64,
    refused: u64,
    broken: u64,
}

/// Runs a load and waits until the service has come to rest again.
///
/// # Errors
/// When a request was not answered, or not with 2xx.
pub(crate) fn run(sb: &Sandbox, stack: &dyn Stack, load: &Load<'_>) -> Result<Sample> {
    let (script, tokens) = (sb.dir().join("requests.lua"), sb.dir().join("tokens.txt"));
    fs::write(&script, SCRIPT)?;
    fs::write(&tokens, load.tokens.iter().map(|token| format!("{token}\n")).collect::<String>())?;
    let groups = stack.groups();
    let before = usage::cpu(&groups)?;
    let told = wrk(stack.url(), load, &script, &tokens)?;
    // At once: what the service still does afterwards belongs to requests that do not count.
    let used = usage::cpu(&groups)?.saturating_sub(before);
    usage::wait_for_rest(&groups)?;
    ensure!(told.refused == 0, "{}: {} of {} refused", load.path, told.refused, told.requests);
    ensure!(told.broken == 0, "{}: {} broken connections", load.path, told.broken);
    let ms = |microseconds: u64| microseconds as f64 / 1000.0;
    Ok(Sample {
        requests: told.requests,
        rate: told.requests as f64 / (told.microseconds as f64 / 1e6),
        p50: ms(told.p50),
        p99: (told.requests >= 100).then(|| ms(told.p99)),
        cpu: used.as_secs_f64() * 1000.0 / told.requests as f64,
    })
}

fn wrk(url: &str, load: &Load<'_>, script: &PathBuf, tokens: &PathBuf) -> Result<Told> {
    let order = match load.order {
        Order::Turn => "turn",
        Order::Random => "random",
    };
    let output = Command::new("wrk")
        .args(["--threads", "1", "--timeout", "120s"])
        .args(["--duration", &format!("{}s", load.seconds)])
        .args(["--connections", &load.connections.to_string(), "--script"])
        .arg(script)
        .args([&format!("{url}{}", load.path), "--"])
        .arg(tokens)
        .arg(order)
        .output()
        .context("wrk is missing")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let told = text.lines().find_map(|line| line.strip_prefix("RESULT "));
    let told =
        told.with_context(|| format!("wrk: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    serde_json::from_str(told).context("what wrk told")
}
