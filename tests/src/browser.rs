//! A real browser without a screen, steered over its debugging pipe (Chrome DevTools Protocol).

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

/// The program, as the distribution calls it.
const PROGRAM: &str = "chromium";
/// Longest wait for one answer, and for a page to show something; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// It asks nobody but the page's own server, needs no graphics card, and runs as root in a sandbox.
const OPTIONS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-device-scale-factor=1",
    "--remote-debugging-pipe",
];

/// A running browser with one open page.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    events: VecDeque<Value>,
    session: String,
    last_id: u64,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Width of the window in CSS pixels.
    pub width: u32,
    /// `light` or `dark`, as the person prefers.
    pub scheme: &'static str,
}

/// Why there is no browser on this machine; `None` when there is.
#[must_use]
pub fn unavailable() -> Option<String> {
    let version = Command::new(PROGRAM).arg("--version").output();
    match version {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("{PROGRAM} --version: {}", output.status)),
        Err(error) => Some(format!("{PROGRAM} does not start: {error}")),
    }
}

impl Browser {
    /// Starts it with an empty page; `profile` is a directory of its own.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(profile: &Path) -> Result<Self> {
        fs::create_dir_all(profile)?;
        // The protocol speaks on descriptors 3 and 4, which a shell can give without unsafe code.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null", "sh", PROGRAM]);
        command.args(OPTIONS).arg(format!("--user-data-dir={}", profile.display()));
        command.arg("about:blank").env("HOME", profile);
        let log = fs::File::create(profile.join("browser.log"))?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {PROGRAM}"))?;
        let commands = child.stdin.take().context("no pipe to the browser")?;
        let answers = child.stdout.take().context("no pipe from the browser")?;
        let (send, messages) = channel();
        thread::spawn(move || {
            for bytes in BufReader::new(answers).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&bytes) else { return };
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        let events = VecDeque::new();
        let mut browser =
            Self { child, commands, messages, events, session: String::new(), last_id: 0 };
        let made = browser.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let target = json!({"targetId": made["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", target)?;
        browser.session = attached["sessionId"].as_str().context("no session")?.to_owned();
        for domain in ["Page", "Network", "Log", "Runtime"] {
            browser.call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Looks at pages in another way from now on.
    ///
    /// # Errors
    /// When the browser refuses.
    pub fn view(&mut self, view: View) -> Result<()> {
        let metrics = json!({
            "width": view.width, "height": 900, "deviceScaleFactor": 1, "mobile": view.width < 500,
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics)?;
        let scheme = json!({"name": "prefers-color-scheme", "value": view.scheme});
        self.call("Emulation.setEmulatedMedia", json!({"features": [scheme]}))?;
        Ok(())
    }

    /// Takes any certificate, for sites whose authority a test has made.
    ///
    /// # Errors
    /// When the browser refuses.
    pub fn trust_everybody(&mut self) -> Result<()> {
        self.call("Security.setIgnoreCertificateErrors", json!({"ignore": true})).map(drop)
    }

    /// Clicks on the first element that the selector finds, once it is there.
    ///
    /// # Errors
    /// When it does not come, or nothing can be done with it.
    pub fn click(&mut self, selector: &str) -> Result<()> {
        let element = format!("document.querySelector({})", json!(selector));
        self.wait_for(&format!("{element} !== null"))?;
        self.value(&format!("{element}.click()")).map(drop)
    }

    /// Opens an address and waits until it is loaded.
    ///
    /// # Errors
    /// When there is nothing to load.
    pub fn open(&mut self, url: &str) -> Result<()> {
        self.drain();
        self.events.clear();
        let went = self.call("Page.navigate", json!({"url": url}))?;
        if let Some(error) = went["errorText"].as_str() {
            bail!("{url}: {error}");
        }
        let end = Instant::now() + PATIENCE;
        let is_loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(is_loaded) {
            let message = self.receive(end).with_context(|| format!("{url} does not load"))?;
            self.events.push_back(message);
        }
        Ok(())
    }

    /// The value of an expression in the page.
    ///
    /// # Errors
    /// When it throws.
    pub fn value(&mut self, expression: &str) -> Result<Value> {
        let parameters =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", parameters)?;
        if !answer["exceptionDetails"].is_null() {
            bail!("{expression}: {}", answer["exceptionDetails"]);
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Waits until an expression in the page is true.
    ///
    /// # Errors
    /// When it does not become true; the text carries what the page says of itself.
    pub fn wait_for(&mut self, expression: &str) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while self.value(expression)? != true {
            if Instant::now() > end {
                let text = self.value("document.documentElement.outerHTML.slice(0, 2000)")?;
                bail!("{expression} does not come true: {text} {:?}", self.complaints());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Presses a key once, as `Tab`.
    ///
    /// # Errors
    /// When the browser refuses.
    pub fn press(&mut self, key: &str) -> Result<()> {
        for kind in ["rawKeyDown", "keyUp"] {
            let event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": 9,
            });
            self.call("Input.dispatchKeyEvent", event)?;
        }
        Ok(())
    }

    /// A picture of the whole page as PNG.
    ///
    /// # Errors
    /// When there is none, or it cannot be written.
    pub fn picture(&mut self, file: &Path) -> Result<()> {
        self.shoot(file, json!({"format": "png", "captureBeyondViewport": true}))
    }

    /// A picture of what fits into the window, for pages of many screens.
    ///
    /// # Errors
    /// As [`Browser::picture`].
    pub fn glance(&mut self, file: &Path) -> Result<()> {
        self.shoot(file, json!({"format": "png"}))
    }

    fn shoot(&mut self, file: &Path, parameters: Value) -> Result<()> {
        let shot = self.call("Page.captureScreenshot", parameters)?;
        let bytes = BASE64_STANDARD.decode(shot["data"].as_str().context("no picture")?)?;
        fs::write(file, bytes).with_context(|| file.display().to_string())
    }

    /// Addresses that the page has asked for since it was opened, itself included; not those that
    /// its own policy kept it from asking for.
    pub fn requests(&mut self) -> Vec<String> {
        self.drain();
        let of = |method: &'static str| {
            let events = self.events.iter().filter(move |event| event["method"] == method);
            events.map(|event| &event["params"])
        };
        let forbidden: Vec<&Value> = of("Network.loadingFailed")
            .filter(|failed| failed["blockedReason"] == "csp")
            .map(|failed| &failed["requestId"])
            .collect();
        of("Network.requestWillBeSent")
            .filter(|request| !forbidden.contains(&&request["requestId"]))
            .filter_map(|request| request["request"]["url"].as_str())
            .map(str::to_owned)
            .collect()
    }

    /// What the browser complains about since the page was opened: what a policy forbade, what
    /// failed, what was thrown.
    pub fn complaints(&mut self) -> Vec<String> {
        self.drain();
        let complaint = |event: &Value| match event["method"].as_str()? {
            "Log.entryAdded" => {
                let entry = &event["params"]["entry"];
                let text = format!("{}: {} ({})", entry["level"], entry["text"], entry["url"]);
                (entry["level"] == "error").then_some(text)
            }
            "Runtime.exceptionThrown" => Some(event["params"]["exceptionDetails"].to_string()),
            _ => None,
        };
        self.events.iter().filter_map(complaint).collect()
    }

    /// Sends a command and returns its result; events that come meanwhile are kept.
    fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.last_id += 1;
        let mut command = json!({"id": self.last_id, "method": method, "params": parameters});
        if !self.session.is_empty() {
            command["sessionId"] = self.session.as_str().into();
        }
        let mut bytes = serde_json::to_vec(&command)?;
        bytes.push(0);
        self.commands.write_all(&bytes)?;
        self.commands.flush()?;
        let end = Instant::now() + PATIENCE;
        loop {
            let mut message = self.receive(end).with_context(|| method.to_owned())?;
            if message["id"] != self.last_id {
                self.events.push_back(message);
            } else if message["error"].is_null() {
                return Ok(message["result"].take());
            } else {
                bail!("{method}: {}", message["error"]);
            }
        }
    }

    fn receive(&mut self, end: Instant) -> Result<Value> {
        let left = end.saturating_duration_since(Instant::now());
        match self.messages.recv_timeout(left) {
            Ok(message) => Ok(message),
            Err(RecvTimeoutError::Timeout) => bail!("the browser says nothing"),
            Err(RecvTimeoutError::Disconnected) => bail!("the browser has ended"),
        }
    }

    fn drain(&mut self) {
        self.events.extend(self.messages.try_iter());
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its children end with it, or with the sandbox.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
