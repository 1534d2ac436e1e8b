//! The fault sweep: the real program is killed, torn, refused or stopped at each call by which it changes what lies on disk, and at each
//! request to a bucket, then run again as a person would, and its end is held against that of a run that nothing befell.

mod actor;
mod check;
pub(crate) mod ground;
pub(crate) mod harm;
mod play;
mod room;
mod wire;

pub(crate) use ground::Ground;
pub(crate) use harm::{Fault, Harm, Seam};
pub(crate) use play::play;
