//! Reads Rust source as text and lists the paths in it. Knows comments, strings and `use` trees; not types or macros.

use std::path::Path;

/// A path somewhere in a file: `crate::stack::Fleet`, `std::fs::read`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) line: usize,
    pub(super) path: Vec<String>,
    /// The path begins at the root of the crate, which is left off.
    pub(super) inside: bool,
}

/// Returns every path in `text`, with `use` trees spread out and `crate`, `self`, `super` followed. `file` is relative to `src/`.
pub(super) fn mentions(file: &Path, text: &str) -> Vec<Mention> {
    Reader { tokens: tokens(text), at: 0, modules: modules_of(file), opened: Vec::new(), depth: 0, found: Vec::new() }.read()
}

/// Returns the module that `file` is: `stack/name.rs` is `stack::name`; `lib.rs` and `main.rs` are the root.
fn modules_of(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        file.with_extension("").components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Word(String),
    Colons,
    Mark(char),
}

struct Token {
    line: usize,
    kind: Kind,
}

/// Walks the tokens once, keeping count of the inline modules it stands in.
struct Reader {
    tokens: Vec<Token>,
    at: usize,
    modules: Vec<String>,
    /// Brace depths at which inline modules were opened.
    opened: Vec<usize>,
    depth: usize,
    found: Vec<Mention>,
}

impl Reader {
    fn read(mut self) -> Vec<Mention> {
        while self.at < self.tokens.len() {
            match self.kind(0).cloned() {
                Some(Kind::Word(word)) if word == "use" && !self.after_colons() => {
                    self.at += 1;
                    self.skip_colons();
                    self.use_tree(&[]);
                }
                Some(Kind::Word(word)) if word == "mod" => self.module(),
                Some(Kind::Word(_)) if !self.after_colons() => self.plain_path(),
                Some(Kind::Mark(mark)) => self.mark(mark),
                _ => self.at += 1,
            }
        }
        self.found
    }

    fn module(&mut self) {
        if let (Some(Kind::Word(name)), Some(Kind::Mark('{'))) = (self.kind(1).cloned(), self.kind(2)) {
            self.modules.push(name);
            self.opened.push(self.depth);
            self.depth += 1;
            self.at += 3;
        } else {
            self.at += 1;
        }
    }

    fn mark(&mut self, mark: char) {
        self.at += 1;
        match mark {
            '{' => self.depth += 1,
            '}' => {
                self.depth = self.depth.saturating_sub(1);
                if self.opened.last() == Some(&self.depth) {
                    self.opened.pop();
                    self.modules.pop();
                }
            }
            _ => {}
        }
    }

    fn plain_path(&mut self) {
        let line = self.tokens[self.at].line;
        let mut path = Vec::new();
        while let Some(Kind::Word(word)) = self.kind(0).cloned() {
            path.push(word);
            self.at += 1;
            if self.kind(0) == Some(&Kind::Colons) && matches!(self.kind(1), Some(Kind::Word(_))) {
                self.at += 1;
            } else {
                break;
            }
        }
        if path.len() > 1 {
            self.keep(line, path);
        }
    }

    /// Reads one branch of a `use` tree that stands below `above`.
    fn use_tree(&mut self, above: &[String]) {
        let mut path = above.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        loop {
            match self.kind(0).cloned() {
                Some(Kind::Word(word)) => {
                    path.push(word);
                    self.at += 1;
                }
                Some(Kind::Mark('*')) => {
                    path.push("*".into());
                    self.at += 1;
                }
                Some(Kind::Mark('{')) => return self.branches(&path),
                _ => break,
            }
            if self.kind(0) != Some(&Kind::Colons) {
                break;
            }
            self.at += 1;
        }
        if self.kind(0) == Some(&Kind::Word("as".into())) {
            self.at += 2;
        }
        self.keep(line, path);
    }

    fn branches(&mut self, above: &[String]) {
        self.at += 1;
        loop {
            match self.kind(0) {
                None => return,
                Some(Kind::Mark('}')) => {
                    self.at += 1;
                    return;
                }
                Some(Kind::Mark(',')) => self.at += 1,
                Some(Kind::Word(_) | Kind::Mark('{' | '*')) => self.use_tree(above),
                Some(_) => self.at += 1,
            }
        }
    }

    /// Keeps `path`, followed to the root of the crate when it lies inside.
    fn keep(&mut self, line: usize, path: Vec<String>) {
        let mut base = self.modules.clone();
        let mut rest = path.iter().peekable();
        let inside = match rest.peek().map(|word| word.as_str()) {
            Some("crate" | "isobar") => {
                base.clear();
                rest.next();
                true
            }
            Some("self") => {
                rest.next();
                true
            }
            Some("super") => true,
            _ => false,
        };
        while inside && rest.next_if(|word| *word == "super").is_some() {
            base.pop();
        }
        let path = if inside { base.into_iter().chain(rest.cloned()).collect() } else { path };
        self.found.push(Mention { line, path, inside });
    }

    fn kind(&self, ahead: usize) -> Option<&Kind> {
        self.tokens.get(self.at + ahead).map(|token| &token.kind)
    }

    fn after_colons(&self) -> bool {
        // `Vec::<T>::new` and `<T as Trait>::name`: what follows is the tail of a path, and not the beginning of one.
        self.at > 1 && self.tokens[self.at - 1].kind == Kind::Colons && self.tokens[self.at - 2].kind == Kind::Mark('>')
    }

    fn skip_colons(&mut self) {
        if self.kind(0) == Some(&Kind::Colons) {
            self.at += 1;
        }
    }
}

/// Cuts `text` into words and marks, without comments, strings, characters and lifetimes.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let end = match (chars[at], chars.get(at + 1)) {
            ('/', Some('/')) => chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |len| at + len),
            ('/', Some('*')) => block_comment_end(&chars, at),
            ('"', _) => string_end(&chars, at),
            ('\'', next) => quote_end(&chars, at, next.copied()),
            (':', Some(':')) => {
                tokens.push(Token { line, kind: Kind::Colons });
                at + 2
            }
            (c, _) if is_word(c) => {
                let end = chars[at..].iter().position(|c| !is_word(*c)).map_or(chars.len(), |len| at + len);
                let word: String = chars[at..end].iter().collect();
                match raw_string_end(&chars, &word, end) {
                    Some(end) => end,
                    None => {
                        tokens.push(Token { line, kind: Kind::Word(word) });
                        end
                    }
                }
            }
            (c, _) => {
                if !c.is_whitespace() {
                    tokens.push(Token { line, kind: Kind::Mark(c) });
                }
                at + 1
            }
        };
        line += chars[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn string_end(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// A raw string begins with a word (`r`, `br`, `cr`) that touches `#` signs or a quote.
fn raw_string_end(chars: &[char], word: &str, after: usize) -> Option<usize> {
    if !matches!(word, "r" | "br" | "cr") {
        return None;
    }
    let hashes = chars[after..].iter().take_while(|c| **c == '#').count();
    let mut at = after + hashes;
    if chars.get(at) != Some(&'"') {
        return None;
    }
    at += 1;
    while at < chars.len() {
        if chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return Some(at + 1 + hashes);
        }
        at += 1;
    }
    Some(chars.len())
}

/// A quote begins a character (`'a'`, `'\n'`) or a lifetime (`'a`).
fn quote_end(chars: &[char], start: usize, next: Option<char>) -> usize {
    match next {
        Some('\\') => {
            let from = start + 3; // the escaped character may itself be a quote
            chars[from.min(chars.len())..].iter().position(|c| *c == '\'').map_or(chars.len(), |len| from + len + 1)
        }
        Some(_) if chars.get(start + 2) == Some(&'\'') => start + 3,
        _ => start + 1 + chars[start + 1..].iter().take_while(|c| is_word(**c)).count(),
    }
}
