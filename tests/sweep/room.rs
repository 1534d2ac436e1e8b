//! What lies in the bucket of one case, and what is still on its way there. Knows no connection and no fault.

use super::harm::Point;
use crate::support::cloud::objects::{Answer, Objects, Request};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names in one answer to a listing.
const PAGE: usize = 1000;

/// What lies in the bucket of one case. A clone of the value is the same room.
#[derive(Clone)]
pub(crate) struct Room(Arc<Mutex<Lying>>);

struct Lying {
    objects: Objects,
    /// A request of a run that was killed, which has not arrived yet.
    late: Option<(Request, Point)>,
    /// Such requests that arrived.
    arrived: Vec<Point>,
}

impl Lying {
    /// What is late arrives.
    fn let_in(&mut self) {
        if let Some((late, point)) = self.late.take() {
            let is_made = self.objects.write(&late).is_good();
            self.arrived.push(Point { is_made, ..point });
        }
    }
}

pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Room {
    pub(crate) fn new() -> Self {
        Self::of(Objects::by_pages_of(PAGE))
    }

    fn of(objects: Objects) -> Self {
        Self(Arc::new(Mutex::new(Lying { objects, late: None, arrived: Vec::new() })))
    }

    /// Another room in which the same lies.
    pub(crate) fn twin(&self) -> Self {
        Self::of(held(&self.0).objects.clone())
    }

    /// The texts of all objects below a prefix, by the rest of their names.
    pub(crate) fn below(&self, prefix: &str) -> BTreeMap<String, String> {
        held(&self.0).objects.below(prefix)
    }

    /// Requests that arrived when the run that sent them was gone.
    pub(crate) fn arrived(&self) -> Vec<Point> {
        held(&self.0).arrived.clone()
    }

    /// Changes or removes an object as somebody does who is none of us.
    pub(crate) fn meddle(&self, name: &str, text: Option<&str>) {
        held(&self.0).objects.meddle(name, text);
    }

    /// A request of a run that was killed is on its way.
    pub(super) fn expect(&self, late: Request, point: Point) {
        held(&self.0).late = Some((late, point));
    }

    /// What is on its way arrives now.
    pub(super) fn let_in(&self) {
        held(&self.0).let_in();
    }

    pub(super) fn answer(&self, request: &Request) -> Answer {
        let mut lying = held(&self.0);
        if !request.is_read() && lying.late.as_ref().is_some_and(|(late, _)| late.path == request.path) {
            lying.let_in(); // at the worst moment: what was read before is no longer so
        }
        match Objects::refusal(request) {
            Some(refusal) => refusal,
            None if request.is_read() => lying.objects.read(request),
            None => lying.objects.write(request),
        }
    }
}
