//! `motleyctl otp`: shows a code that was given out for somebody.

use motley_proto::{admin::IssuedCode, text::escape};

/// Prints the code and what it is good for. It is shown here and never again.
pub(super) fn show(issued: &IssuedCode) {
    println!("code        {}", issued.code.shown().expose());
    println!("local name  {}", issued.name);
    println!("identity    {}", escape(&issued.identity.to_string(), 500));
    println!("good for    {} seconds, once", issued.lifetime);
}
