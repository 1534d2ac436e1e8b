//! Leases as a model, small enough to be walked through whole: two writers, each a process that may die and come back as another one,
//! and every order of what they do. Knows what a store does with a lease, and nothing of a store.
//!
//! A journal is a book to which one page after the other is added. Whoever wants to add a page looks at the book, decides by what is in
//! it, and sends the page; it is taken only where nobody added one since that look (a ref that is pushed to, a bucket), or the book is
//! locked from the look to the page (a directory). Looks may be old, answers may be lost, pages may be on their way when their writer is
//! dead. There is no step that renews a lease: every page about a target asks whether the lease is still there. And no step by which it
//! expires: it ends when its owner ended, which is proven, or with somebody's word. The word may be wrong, as long as nothing of that run
//! is in flight.

use std::collections::HashSet;

/// Processes that a writer may be at most, one after the other; each is a run of its own.
const LIVES_MAX: usize = 2;
const RUNS: usize = 2 * LIVES_MAX;

const TWO_ENGINES: &str = "two engines on one target";

/// Bits, one a target.
type Targets = u8;

/// What is written, each at most once by a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Page {
    /// The lease, and the runs whose leases end with it.
    Take {
        ended: u8,
        wanted: Targets,
    },
    Start {
        target: Targets,
    },
    Finish {
        target: Targets,
    },
    Release,
}

/// What the book says, of each run: what it took, and whether that is over; what it started, and what it finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Book {
    took: [Targets; RUNS],
    over: [bool; RUNS],
    started: [Targets; RUNS],
    finished: [Targets; RUNS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    /// It is about to look, or to decide on a page by what it saw.
    Wants(Page),
    /// The page is sent.
    Waits(Page),
    /// The page is sent, and its answer lost.
    Doubts(Page),
    /// It has the lock, and has read.
    Reads(Page),
    /// The page is written, and the lock still ours.
    Holds(Page),
    /// The start is journalled.
    Begins(Targets),
    Runs(Targets),
    Ended,
}

/// A page on its way, and whether nobody added another since it was decided on.
type Sent = Option<(Page, bool)>;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Process {
    at: At,
    wanted: Targets,
    /// What each run held when it looked last, and whether that is so still.
    view: [Targets; RUNS],
    is_newest: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    book: Book,
    /// The living run of each writer.
    runs: [u8; 2],
    processes: [Process; 2],
    on_their_way: [[Sent; 2]; RUNS],
    locked: Option<u8>,
}

/// How a page gets into the book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Taken where nobody was first.
    Sent,
    /// Under a lock.
    Locked,
}

/// What is missing, to see that it is missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Without {
    Nothing,
    /// A page is taken wherever the book is by then.
    Condition,
    /// Nobody asks whether the lease is still there.
    Claim,
    /// A lease ends although its owner lives.
    Proof,
    /// Nobody waits for the lock.
    Lock,
}

struct Model {
    way: Way,
    without: Without,
    /// Processes of each writer.
    lives: usize,
    targets: Targets,
}

impl Book {
    fn holds(&self, run: usize) -> Targets {
        if self.over[run] { 0 } else { self.took[run] }
    }

    fn is_in_flight(&self, run: usize) -> bool {
        self.started[run] != self.finished[run]
    }

    fn has(&self, run: usize, page: Page) -> bool {
        match page {
            Page::Take { .. } => self.took[run] != 0,
            Page::Start { target } => self.started[run] & target != 0,
            Page::Finish { target } => self.finished[run] & target != 0,
            Page::Release => self.over[run],
        }
    }

    /// Adds a page; says what is wrong with it.
    fn add(&mut self, run: usize, page: Page) -> Result<(), &'static str> {
        let mut wrong = None;
        match page {
            Page::Take { ended, wanted } => {
                for other in 0..RUNS {
                    self.over[other] |= ended & (1 << other) != 0;
                }
                if (0..RUNS).any(|other| other != run && self.holds(other) & wanted != 0) {
                    wrong = Some("a target is leased to two");
                }
                self.took[run] = wanted;
            }
            Page::Start { target } => {
                if self.holds(run) & target == 0 {
                    wrong = Some("a start is taken from somebody whose lease is over");
                }
                self.started[run] |= target;
            }
            Page::Finish { target } => self.finished[run] |= target,
            Page::Release => self.over[run] = true,
        }
        wrong.map_or(Ok(()), Err)
    }
}

impl State {
    fn lives(&self, run: usize) -> bool {
        (0..2).any(|writer| usize::from(self.runs[writer]) == run && self.processes[writer].at != At::Ended)
    }

    /// Somebody looks at the book.
    fn look(&mut self, writer: usize) {
        self.processes[writer].view = std::array::from_fn(|run| self.book.holds(run));
        self.processes[writer].is_newest = true;
    }

    /// A page was added: what was seen before is old.
    fn turn(&mut self) {
        self.processes.iter_mut().for_each(|process| process.is_newest = false);
        self.on_their_way.iter_mut().flatten().flatten().for_each(|(_, is_newest)| *is_newest = false);
    }

    fn engines(&self, target: Targets) -> usize {
        self.processes.iter().filter(|process| process.at == At::Runs(target)).count()
    }
}

impl Model {
    fn begin(&self) -> State {
        let ended = Process { at: At::Ended, wanted: 0, view: [0; RUNS], is_newest: false };
        let runs = [0, LIVES_MAX as u8];
        State { book: Book::default(), runs, processes: [ended; 2], on_their_way: Default::default(), locked: None }
    }

    /// Hands on every state that is one step away; or says what must never be so.
    fn steps(&self, state: &State, next: &mut impl FnMut(State)) -> Result<(), &'static str> {
        for writer in 0..2 {
            self.step(state, writer, next)?;
            if state.processes[writer].at != At::Ended {
                next(ended(*state, writer)); // it dies
            }
        }
        for run in 0..RUNS {
            for (nth, sent) in state.on_their_way[run].iter().enumerate() {
                if let Some((page, is_newest)) = sent {
                    self.arrive(state, run, nth, *page, *is_newest, next)?;
                }
            }
            let may_be_said = !state.lives(run) || !state.book.is_in_flight(run);
            if state.book.holds(run) != 0 && may_be_said && state.locked.is_none() {
                let mut state = *state;
                state.book.over[run] = true;
                state.turn();
                next(state);
            }
        }
        Ok(())
    }

    /// Where something is missing, all that counts is whether it comes to two engines.
    fn add(&self, book: &mut Book, run: usize, page: Page) -> Result<(), &'static str> {
        let added = book.add(run, page);
        if self.without == Without::Nothing { added } else { Ok(()) }
    }

    fn step(&self, state: &State, writer: usize, next: &mut impl FnMut(State)) -> Result<(), &'static str> {
        let (run, process) = (usize::from(state.runs[writer]), state.processes[writer]);
        let to = |at: At| {
            let mut state = *state;
            state.processes[writer].at = at;
            state
        };
        match process.at {
            At::Ended => {
                let begun = state.runs.map(usize::from)[writer] + usize::from(process.wanted != 0);
                if begun < writer * LIVES_MAX + self.lives {
                    for wanted in 1..=self.targets {
                        let mut state = *state;
                        state.runs[writer] = begun as u8;
                        let at = At::Wants(Page::Take { ended: 0, wanted });
                        state.processes[writer] = Process { at, wanted, view: [0; RUNS], is_newest: false };
                        if self.way == Way::Sent {
                            state.look(writer);
                        }
                        next(state);
                    }
                }
            }
            At::Wants(page) if self.way == Way::Sent => {
                if !process.is_newest {
                    let mut state = *state;
                    state.look(writer);
                    next(state);
                }
                match self.decide(state, run, process, page) {
                    Some(page) => {
                        let mut state = to(At::Waits(page));
                        state.on_their_way[run][0] = Some((page, process.is_newest));
                        next(state);
                    }
                    None => next(ended(*state, writer)),
                }
            }
            At::Wants(page) if state.locked.is_none() || self.without == Without::Lock => {
                let mut state = to(At::Reads(page));
                state.look(writer);
                state.locked = Some(writer as u8);
                next(state);
            }
            At::Wants(_) => {}
            At::Reads(page) => match self.decide(state, run, process, page) {
                Some(page) => {
                    let mut state = to(At::Holds(page));
                    self.add(&mut state.book, run, page)?;
                    state.turn();
                    state.processes[writer].view = [0; RUNS];
                    next(state);
                }
                None => next(ended(*state, writer)),
            },
            At::Holds(page) => {
                let mut state = self.written(*state, writer, page);
                state.locked = None;
                next(state);
            }
            At::Waits(page) if state.on_their_way[run][1].is_none() => {
                let mut state = to(At::Doubts(page));
                state.on_their_way[run].swap(0, 1);
                next(state);
            }
            At::Waits(_) => {}
            At::Doubts(page) => {
                let mut state = to(At::Wants(page));
                state.look(writer);
                next(if state.book.has(run, page) { self.written(state, writer, page) } else { state });
            }
            At::Begins(target) if state.engines(target) > 0 => return Err(TWO_ENGINES),
            At::Begins(target) => next(to(At::Runs(target))),
            At::Runs(target) => next(to(At::Wants(Page::Finish { target }))),
        }
        Ok(())
    }

    /// The page that is right by what was seen, or none: somebody who lives has a target, or our lease is over.
    fn decide(&self, state: &State, run: usize, process: Process, page: Page) -> Option<Page> {
        let Process { view, wanted, .. } = process;
        match page {
            Page::Take { .. } => {
                let mut ended = 0;
                for other in (0..RUNS).filter(|other| *other != run && view[*other] != 0) {
                    let in_the_way = view[other] & wanted != 0;
                    if !state.lives(other) || (in_the_way && self.without == Without::Proof) {
                        ended |= 1 << other;
                    } else if in_the_way {
                        return None;
                    }
                }
                Some(Page::Take { ended, wanted })
            }
            Page::Start { target } | Page::Finish { target } => {
                (view[run] & target != 0 || self.without == Without::Claim).then_some(page)
            }
            Page::Release => (view[run] != 0).then_some(page),
        }
    }

    fn arrive(
        &self,
        state: &State,
        run: usize,
        nth: usize,
        page: Page,
        is_newest: bool,
        next: &mut impl FnMut(State),
    ) -> Result<(), &'static str> {
        let mut after = *state;
        after.on_their_way[run][nth] = None;
        let writer = run / LIVES_MAX;
        let waits = nth == 0 && usize::from(after.runs[writer]) == run && after.processes[writer].at == At::Waits(page);
        if !is_newest && self.without != Without::Condition {
            if waits {
                after.processes[writer].at = At::Wants(page); // somebody was first
            }
            next(after);
            return Ok(());
        }
        self.add(&mut after.book, run, page)?;
        after.turn();
        if waits {
            let mut lost = after;
            lost.processes[writer].at = At::Doubts(page);
            next(lost);
            after = self.written(after, writer, page);
        }
        next(after);
        Ok(())
    }

    /// The writer knows that its page is in the book.
    fn written(&self, mut state: State, writer: usize, page: Page) -> State {
        if self.way == Way::Sent {
            state.look(writer);
        }
        let process = &mut state.processes[writer];
        process.at = match page {
            Page::Take { .. } => At::Wants(Page::Start { target: first(process.wanted) }),
            Page::Start { target } => At::Begins(target),
            Page::Finish { target } => match first(process.wanted & !(target | (target - 1))) {
                0 => At::Wants(Page::Release),
                target => At::Wants(Page::Start { target }),
            },
            Page::Release => return ended(state, writer),
        };
        state
    }

    /// The same state without what cannot matter any more: pages that come too late and that nobody waits for, and what the dead did.
    fn bare(&self, mut state: State) -> State {
        for run in 0..RUNS {
            let writer = run / LIVES_MAX;
            let lives = state.lives(run);
            for (nth, sent) in state.on_their_way[run].iter_mut().enumerate() {
                let waits = lives && nth == 0 && matches!(state.processes[writer].at, At::Waits(_));
                sent.take_if(|(_, is_newest)| !*is_newest && !waits && self.without != Without::Condition);
            }
            if !lives {
                (state.book.started[run], state.book.finished[run]) = (0, 0);
                let held = state.book.holds(run);
                (state.book.took[run], state.book.over[run]) = (held, false);
            }
        }
        state
    }

    /// Walks through every state; returns how many there are, or what must never be so.
    fn explore(&self) -> Result<usize, &'static str> {
        let mut known = HashSet::from([self.begin()]);
        let mut to_do = vec![self.begin()];
        while let Some(state) = to_do.pop() {
            self.steps(&state, &mut |next| {
                let next = self.bare(next);
                if known.insert(next) {
                    to_do.push(next);
                }
            })?;
        }
        Ok(known.len())
    }
}

fn first(targets: Targets) -> Targets {
    targets & targets.wrapping_neg()
}

/// The process is gone, and with it its engine and its lock.
fn ended(mut state: State, writer: usize) -> State {
    let process = &mut state.processes[writer];
    (process.at, process.view, process.is_newest) = (At::Ended, [0; RUNS], false);
    state.locked.take_if(|locked| usize::from(*locked) == writer);
    state
}

#[test]
#[allow(clippy::print_stdout)]
fn in_no_order_of_what_two_writers_do_are_there_two_engines_on_one_target() {
    let small = [(Way::Sent, 1, 1, 6_677), (Way::Locked, 2, 1, 913), (Way::Locked, 1, 3, 2_490)];
    let large = [(Way::Sent, 2, 1, 89_734), (Way::Sent, 1, 3, 108_937), (Way::Locked, 2, 3, 13_133)];
    let models = small.iter().chain(large.iter().filter(|_| std::env::var_os("ISOBAR_LEASES").is_some()));
    for &(way, lives, targets, states) in models {
        let explored = Model { way, without: Without::Nothing, lives, targets }.explore();
        println!("{way:?}, {lives} lives of each writer, {} targets: {explored:?} states", targets.count_ones());
        assert_eq!(explored, Ok(states));
    }
}

#[test]
fn without_any_of_what_keeps_them_apart_there_are() {
    for (way, without) in [
        (Way::Sent, Without::Condition),
        (Way::Sent, Without::Claim),
        (Way::Sent, Without::Proof),
        (Way::Locked, Without::Lock),
        (Way::Locked, Without::Claim),
        (Way::Locked, Without::Proof),
    ] {
        assert_eq!(Model { way, without, lives: 1, targets: 1 }.explore(), Err(TWO_ENGINES), "{way:?} without {without:?}");
    }
}
