//! Our own texts, for sites that have none.

use super::{Occasion, Reader};

pub(super) fn built_in(occasion: Occasion, reader: Reader) -> &'static str {
    match (reader, occasion) {
        (Reader::Admin, Occasion::Deploy) => ADMIN_DEPLOY,
        (Reader::Admin, Occasion::DeployUpdate) => ADMIN_DEPLOY_UPDATE,
        (Reader::Admin, Occasion::Update) => ADMIN_UPDATE,
        (Reader::User, Occasion::Deploy) => USER_DEPLOY,
        (Reader::User, Occasion::DeployUpdate) => USER_DEPLOY_UPDATE,
        (Reader::User, Occasion::Update) => USER_UPDATE,
    }
}

const ADMIN_DEPLOY: &str = "\
Somebody asks for an account on ${hostname}. Name and address are what the provider says.

  name      ${full_name}
  e-mail    ${email} (${email_verified})
  subject   ${sub}
  provider  ${iss}
  account   ${username}
  groups    ${groups}

As root or a member of the admin group on ${hostname}:

  ${show_cmd}
  ${accept_cmd}
  ${reject_cmd}
";

const ADMIN_DEPLOY_UPDATE: &str = "\
Somebody who waits for an account on ${hostname} now brings other groups. The earlier mail about this
request is void.

  name      ${full_name}
  e-mail    ${email} (${email_verified})
  subject   ${sub}
  provider  ${iss}
  account   ${username}
  groups    ${groups}

As root or a member of the admin group on ${hostname}:

  ${show_cmd}
  ${accept_cmd}
  ${reject_cmd}
";

const ADMIN_UPDATE: &str = "\
The provider asserts further groups of somebody who has an account on ${hostname}.

  name        ${full_name}
  e-mail      ${email} (${email_verified})
  subject     ${sub}
  provider    ${iss}
  account     ${username}
  new groups  ${groups}

As root or a member of the admin group on ${hostname}:

  ${show_cmd}
  ${accept_cmd}
  ${reject_cmd}
";

const USER_DEPLOY: &str = "\
Your request for an account on ${hostname} was submitted. You can log in when an administrator has
accepted it.

Questions answers: ${admin_email}
";

const USER_DEPLOY_UPDATE: &str = "\
Your request for an account on ${hostname} was changed, because your provider now asserts other groups
of you. You can log in when an administrator has accepted it.

Questions answers: ${admin_email}
";

const USER_UPDATE: &str = "\
Your provider asserts new groups of you, so a request for an update of your account ${username} on
${hostname} was submitted. Your account works as before. You join the groups when an administrator has
accepted the request.

Questions answers: ${admin_email}
";

pub(super) const USER_ACCEPTED: &str = "\
Your request on ${hostname} was accepted.

  account  ${username}
  groups   ${groups}

Questions answers: ${admin_email}
";

pub(super) const USER_REJECTED: &str = "\
Your request on ${hostname} was rejected. Nothing of it was carried out.

Questions answers: ${admin_email}
";
