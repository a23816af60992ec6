//! `motleyctl knocks` and `motleyctl notify`: who tried without being authorised, and how admins
//! learn of it.

use clap::Args;
use motley_proto::{
    admin::{AdminAnswer, AdminRequest},
    knock::{Knock, KnockPage, NotifyStatus},
    text::escape,
};
use time::{OffsetDateTime, macros::format_description};

/// What to do with the list.
#[derive(Args)]
pub(super) struct Which {
    /// Forget everybody on it.
    #[arg(long)]
    clear: bool,
}

impl Which {
    /// The first question.
    pub(super) fn request(&self) -> AdminRequest {
        if self.clear { AdminRequest::ClearKnocks } else { AdminRequest::Knocks { after: None } }
    }
}

/// What to do about mail.
#[derive(Args)]
pub(super) struct Notify {
    /// Send a test mail now, and say what the mail server answered.
    #[arg(long, required = true)]
    test: bool,
}

/// Asks for the other pages and puts who knocked last first.
pub(super) fn complete(
    first: KnockPage,
    ask: impl Fn(&AdminRequest) -> Result<AdminAnswer, String>,
) -> Result<AdminAnswer, String> {
    let KnockPage { mut rows, mut more } = first;
    while more {
        let after = rows.last().map(|row| row.identity.clone());
        let AdminAnswer::Knocks(next) = ask(&AdminRequest::Knocks { after })? else {
            return Err("the daemon answered something else".to_owned());
        };
        more = next.more && !next.rows.is_empty();
        rows.extend(next.rows);
    }
    rows.sort_by(|a, b| b.last_at.cmp(&a.last_at).then_with(|| a.identity.cmp(&b.identity)));
    Ok(AdminAnswer::Knocks(KnockPage { rows, more: false }))
}

/// Prints one block for each person.
pub(super) fn show(rows: &[Knock]) {
    if rows.is_empty() {
        println!("nobody knocked");
    }
    for row in rows {
        let names = [&row.name, &row.preferred_username, &row.email];
        let names: Vec<String> = names.into_iter().flatten().map(|it| escape(it, 300)).collect();
        let missing: Vec<&str> = row.missing.iter().map(|it| it.sentence()).collect();
        println!("{}", escape(&row.identity.to_string(), 500));
        println!(
            "    names    {}",
            if names.is_empty() { "-".to_owned() } else { names.join(", ") }
        );
        println!("    missing  {}", missing.join("; "));
        println!(
            "    tried    {} times, {} to {}",
            row.count,
            moment(row.first_at),
            moment(row.last_at)
        );
        println!("    mailed   {}", if row.mailed { "yes" } else { "no" });
    }
}

/// Prints how mail to the admins goes.
pub(super) fn show_status(status: &NotifyStatus) {
    let sent = status.sent_at.map_or_else(|| "never".to_owned(), moment);
    println!("digest       {}, last sent {sent}", escape(&status.unauthorised, 20));
    if let Some(why) = &status.last_error {
        println!("DIGEST FAILS {} times: {}", status.failures, escape(why, 1000));
    }
    if let Some(retry) = status.retry_at {
        println!("next try     {}", moment(retry));
    }
}

fn moment(seconds: i64) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(form).ok())
        .unwrap_or_else(|| format!("second {seconds}"))
}
