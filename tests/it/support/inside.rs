//! What a story needs of the program's own rooms: its world, opened as a run of it does, and every entry of whatever journal it names.

use super::Sandbox;
use isobar::command;
use isobar::world::{Environment, Stop, Terminal, World};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

impl Sandbox {
    /// Opens what a run would have, with these variables set too.
    pub(crate) fn world(&self, more: &[(&str, &str)]) -> (Runtime, World) {
        let program = self.program();
        let set = program.get_envs().filter_map(|(name, value)| name.to_str().zip(value?.to_str()));
        let variables = set.chain(more.iter().copied()).map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let environment = Environment { variables, ..Environment::default() };
        let terminal = Terminal::new(&environment, true, true).hushed();
        let (root, runtime) = (self.root(), Builder::new_current_thread().enable_all().build().expect("a runtime"));
        let opened = command::open(None, &root, None, environment, terminal, Stop::default());
        let world = runtime.block_on(opened).expect("a world");
        (runtime, world)
    }

    /// Returns the entries of the journal, oldest first, wherever it lies.
    pub(crate) fn entries(&self) -> Vec<Value> {
        let (runtime, world) = self.world(&[]);
        let entries = runtime.block_on(world.store.read()).expect("a journal");
        entries.iter().map(|entry| serde_json::from_str(&entry.line()).expect("an entry is a line of JSON")).collect()
    }
}
