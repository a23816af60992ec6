//! The back end against a scripted root helper.
