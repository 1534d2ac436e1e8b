//! A region: where stacks run.

use super::{RegionId, Site, Vars};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One region of the fleet, as the fleet file declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    pub id: RegionId,
    pub cloud: Option<Arc<str>>,
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Share of traffic or blast; 1 unless said otherwise.
    pub weight: u32,
    /// The region's own vars, without the layers below them.
    pub vars: Vars,
    pub site: Site,
}
