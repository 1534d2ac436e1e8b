//! The built program, where a start of it costs least.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

const BUILT: &str = env!("CARGO_BIN_EXE_isobar");

/// Returns where the program is that the stories start.
///
/// It is a copy. A linker writes through a mapping, page by page, and so the program then lies in memory: each of two thousand starts
/// maps it page by page again, which is a third of the start. What is written from one end to the other lies there in large pieces.
pub(crate) fn program() -> &'static str {
    static COPY: LazyLock<String> = LazyLock::new(|| match copied() {
        Some(copy) => copy.to_string_lossy().into_owned(),
        None => BUILT.into(),
    });
    &COPY
}

/// Copies the program unless that was done before. `cp` does it, for a file that this process had open for writing could be handed to
/// whatever another test starts at that moment, and a file that is open for writing cannot be started.
fn copied() -> Option<PathBuf> {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("isobar");
    let written = |path: &Path| fs::metadata(path).ok()?.modified().ok();
    if written(&copy).is_some_and(|copied| Some(copied) == written(Path::new(BUILT))) {
        return Some(copy);
    }
    let aside = copy.with_extension(std::process::id().to_string());
    let done = Command::new("cp").args([Path::new("-p"), Path::new(BUILT), &aside]).status().is_ok_and(|status| status.success());
    (done && fs::rename(&aside, &copy).is_ok()).then_some(copy)
}
