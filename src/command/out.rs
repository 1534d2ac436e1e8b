//! Texts that were asked for in a file: its directory is made where there is none, and `-` is standard output.

use crate::exit::Failure;
use crate::world::World;
use std::path::Path;

/// Says whether standard output is meant.
pub fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Writes `page` to the file at `path`, and says so; to standard output where that is meant.
pub(crate) fn page(world: &World, path: &Path, page: &str) -> Result<(), Failure> {
    if is_stdout(path) {
        world.terminal.say_made(page);
        return Ok(());
    }
    write(path, page)?;
    world.terminal.note(&format!("wrote {}", path.display()));
    Ok(())
}

/// Writes a file, and makes its directory.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, text))
        .map_err(|error| Failure::World(format!("writing {}: {error}", path.display()), None))
}
