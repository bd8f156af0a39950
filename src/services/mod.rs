//! Use cases: what Chorus does, put together from the store and the outside world.

pub mod clock;
pub mod engine;
pub mod live;
pub mod observe;
