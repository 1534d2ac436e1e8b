//! Every situation in every form.

use super::sample;
use super::{COMMENT_BYTES, Style, comment, page, report_text, status_text};

/// Writes every form of every situation into the directory that `ISOBAR_LOOK` names, for eyes.
#[test]
fn forms_can_be_looked_at() {
    let Some(dir) = std::env::var_os("ISOBAR_LOOK").map(std::path::PathBuf::from) else {
        return; // skipped: ISOBAR_LOOK names no directory
    };
    std::fs::create_dir_all(&dir).expect("the directory can be made");
    let reports = sample::situations().into_iter().chain([("busy", sample::busy())]);
    for (name, report) in reports {
        let write = |ending: &str, text: &str| {
            std::fs::write(dir.join(format!("{}.{ending}", name.replace(' ', "-"))), text).expect("the file can be written")
        };
        write("txt", &report_text(&report, Style::Plain));
        write("ansi", &report_text(&report, Style::Colour));
        let comment = comment(&report, COMMENT_BYTES);
        write("md", &comment.body);
    }
    let status = sample::status();
    std::fs::write(dir.join("status.html"), page(&status)).expect("the file can be written");
    std::fs::write(dir.join("status.txt"), status_text(&status, Style::Plain)).expect("the file can be written");
}
