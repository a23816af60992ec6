//! The service: can its host be found and reached, is it there, and who vouches for it.

use super::{Check, Examination, ssh::Destination};
use crate::{
    cli::Options,
    context, duration, endpoint,
    error::Error,
    http::Http,
    service::{Facts, Service},
    source::now_s,
};
use motley_proto::text::escape;
use std::{
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Limit for one connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A certificate that ends sooner should have been replaced: those of ACME live for weeks.
const SOON_S: f64 = 7.0 * 86_400.0;

/// Resolves the host and connects to its sshd.
pub(super) fn address(it: &mut Examination, destination: &Destination) {
    let host = &destination.settings.hostname;
    if destination.settings.jumps {
        it.add(Check::skip("address", "another host or program leads there"));
        return it.add(Check::skip("port", "another host or program leads there"));
    }
    it.about(&format!("the address of {host}"));
    let addresses: Vec<SocketAddr> = match (host.as_str(), destination.port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            let text = format!(
                "the name {host} is not known: {error}\nCheck the spelling, and whether you are on the right network."
            );
            it.add(Check::fail("address", &Error::NoService(text)));
            return it.add(Check::skip("port", "there is no address"));
        }
    };
    let texts: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    it.add(Check::ok("address", texts.join(", ")));
    it.add(connect(&addresses, destination.port));
}

fn connect(addresses: &[SocketAddr], port: u16) -> Check {
    let mut failures = Vec::new();
    for address in addresses {
        match TcpStream::connect_timeout(address, CONNECT_LIMIT) {
            Ok(_) => return Check::ok("port", format!("{address} is open")),
            Err(error) => failures.push(format!("{address}: {error}")),
        }
    }
    let text = format!(
        "ssh's port {port} can't be reached: {}\nCheck the port, and whether a firewall is in between.",
        failures.join("; ")
    );
    Check::fail("port", &Error::NoService(text))
}

/// Looks for the service, and at its certificate.
pub(super) fn find<'a>(
    it: &mut Examination,
    options: &Options,
    http: &'a Http,
    destination: Option<&Destination>,
) -> Option<(Service<'a>, Facts)> {
    it.about("the service");
    let hostname = destination.map(|it| it.settings.hostname.as_str());
    let ruled = context::host_rule(options, hostname).ok().and_then(|rule| rule.endpoint);
    let endpoint = match (options.mc_endpoint.as_ref().or(ruled.as_ref()), hostname) {
        (Some(url), _) => endpoint::check(http, url),
        (None, Some(hostname)) => endpoint::find(http, hostname),
        (None, None) => {
            for name in ["service", "certificate", "providers"] {
                it.add(Check::skip(name, "neither HOST nor --mc-endpoint was given"));
            }
            return None;
        }
    };
    let url = match endpoint {
        Ok(url) => url,
        Err(error) => {
            it.add(Check::fail("service", &error));
            it.add(Check::skip("certificate", "there is no service"));
            it.add(Check::skip("providers", "there is no service"));
            return None;
        }
    };
    it.add(Check::ok("service", url.clone()));
    it.add(certificate(http, &url));
    providers(it, Service::new(http, url))
}

fn certificate(http: &Http, url: &str) -> Check {
    const NAME: &str = "certificate";
    if url.starts_with("http://") {
        let hint = "Have the service behind TLS; this is for tests on one machine.";
        return Check::warn(NAME, "plain http: whoever is on the way can read the token", hint);
    }
    if http.trust().any_certificate {
        let hint = "Leave out --insecure; --ca-file FILE trusts a site's own authority.";
        return Check::warn(NAME, "--insecure: whoever is on the way can read the token", hint);
    }
    // It was verified before: chain, name and time are right.
    let der = match http.peer_certificate(url) {
        Ok(Some(der)) => der,
        Ok(None) => return Check::skip(NAME, "the connection shows none"),
        Err(error) => return Check::fail(NAME, &error),
    };
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else {
        return Check::skip(NAME, "it is trusted, but can't be shown");
    };
    #[allow(clippy::cast_precision_loss)] // Seconds of this century are exact.
    let left_s = certificate.validity().not_after.timestamp() as f64 - now_s();
    let issuer = escape(&certificate.issuer().to_string(), 200);
    let detail = format!("trusted, valid for {} (issued by {issuer})", duration::words(left_s));
    if left_s < SOON_S {
        Check::warn(NAME, detail, "Tell the service's operators to renew it.")
    } else {
        Check::ok(NAME, detail)
    }
}

fn providers<'a>(it: &mut Examination, service: Service<'a>) -> Option<(Service<'a>, Facts)> {
    const NAME: &str = "providers";
    match service.info() {
        Ok(facts) if facts.info.supported_ops.is_empty() => {
            let hint = "Tell the service's operators: no provider is configured.";
            it.add(Check::warn(NAME, "the service takes none", hint));
            Some((service, facts))
        }
        Ok(facts) => {
            it.add(Check::ok(NAME, facts.info.supported_ops.join(", ")));
            Some((service, facts))
        }
        Err(error) => {
            it.add(Check::fail(NAME, &error));
            None
        }
    }
}
