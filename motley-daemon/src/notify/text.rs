//! What the mails say: plain text, in which nothing from outside can act or grow.

use super::mail::{Addressee, Mail};
use motley_proto::{knock::Knock, text::escape};
use time::{OffsetDateTime, macros::format_description};

/// Most people that one mail names.
const MOST_ROWS: usize = 200;

/// The digest about these people; who knocked last comes first.
pub(super) fn digest(people: &[Knock], host: &str) -> Mail {
    let who = match people.len() {
        1 => "1 person is not authorised".to_owned(),
        count => format!("{count} people are not authorised"),
    };
    let mut body = format!(
        "Somebody tried to use {host} with an identity that is valid but that no rule lets in.\n\
         Names and addresses are what the providers say of them.\n"
    );
    for (at, knock) in people.iter().take(MOST_ROWS).enumerate() {
        body.push_str(&row(at + 1, knock));
    }
    if people.len() > MOST_ROWS {
        body.push_str(&format!("\nand {} more.\n", people.len() - MOST_ROWS));
    }
    body.push_str(
        "\nTo let somebody in, change the section of the provider in motley_cue.conf and run\n\
         motleyctl reload. All who knocked in the last 90 days: motleyctl knocks.\n",
    );
    Mail { subject: format!("[{host}] {who}"), body, to: Addressee::Watchers }
}

/// The mail of `motleyctl notify --test`.
pub(super) fn test(host: &str) -> Mail {
    Mail {
        subject: format!("[{host}] test mail"),
        body: format!(
            "An admin of {host} asked for this mail, to see that digests of people who are not\n\
             authorised arrive here.\n"
        ),
        to: Addressee::Watchers,
    }
}

fn row(number: usize, knock: &Knock) -> String {
    let names = [&knock.name, &knock.preferred_username, &knock.email];
    let names: Vec<String> = names.into_iter().flatten().map(|name| line(name)).collect();
    let names = if names.is_empty() { "no name known".to_owned() } else { names.join(", ") };
    let missing: Vec<&str> = knock.missing.iter().map(|missing| missing.sentence()).collect();
    let times = match knock.count {
        1 => format!("once, on {}", moment(knock.last_at)),
        count => {
            format!(
                "{count} times since {}, last on {}",
                moment(knock.first_at),
                moment(knock.last_at)
            )
        }
    };
    format!(
        "\n{number:>3}. {names}\n     subject   {}\n     provider  {}\n     missing   {}\n     tried     {times}\n",
        line(knock.identity.subject.as_str()),
        line(knock.identity.issuer.as_str()),
        missing.join("; "),
    )
}

/// Remote text as one line of bounded length.
fn line(text: &str) -> String {
    escape(text, 300)
}

fn moment(seconds: i64) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(form).ok())
        .unwrap_or_else(|| format!("second {seconds}"))
}

#[cfg(test)]
mod tests;
