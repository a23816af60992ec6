//! The stores by their common door.
