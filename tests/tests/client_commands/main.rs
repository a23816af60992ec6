//! The client's commands at the real service: what they find, print, change and remember.

mod accounts;
mod facts;
mod finding;
mod naming;
mod place;
