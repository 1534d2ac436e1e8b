//! Writes guards into a template before it is run: what grows a value or builds one passes a filter of [`bounds`](super::bounds), for
//! the library has no bound on sizes. Nothing else changes, and every line stays where it is.

use super::template::SYNTAX;
use minijinja::machinery::{Token, tokenize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Literal text below this many bytes costs about what the step costs that prints it.
const WEIGHT_MIN: usize = 64;

/// Words that begin another part of a tag, where they follow a value.
const PARTS: [&str; 6] = ["as", "ignore", "import", "recursive", "with", "without"];

/// Returns `text` with its guards; as it is where it can't be read, which the library then tells.
pub(super) fn guarded(text: &str) -> Cow<'_, str> {
    let mut tokens = Vec::new();
    for read in tokenize(text, false, SYNTAX.clone()) {
        let Ok((token, span)) = read else { return text.into() };
        tokens.push(Piece { token, start: span.start_offset as usize, end: span.end_offset as usize });
    }
    let Some(closes) = closes(&tokens) else { return text.into() };
    let (loops, whole) = weights(&tokens);
    let mut guard = Guard { text, tokens: &tokens, closes, out: String::with_capacity(text.len() * 2), at: 0 };
    guard.weigh(whole, "");
    let mut tag = 0;
    for (index, piece) in tokens.iter().enumerate() {
        match piece.token {
            Token::VariableStart | Token::BlockStart => tag = index,
            Token::VariableEnd => guard.elements(tag + 1, index),
            Token::BlockEnd => {
                guard.statement(tag + 1, index);
                guard.copy(piece.end);
                let trims = text[piece.start..piece.end].starts_with('-');
                guard.weigh(loops.get(&tag).copied().unwrap_or_default(), if trims { "-" } else { "" });
            }
            _ => {} // text, or the inside of a tag
        }
    }
    guard.copy(text.len());
    guard.out.into()
}

struct Piece<'t> {
    token: Token<'t>,
    start: usize,
    end: usize,
}

/// Returns where each bracket closes, or nothing when they don't fit.
fn closes(tokens: &[Piece<'_>]) -> Option<Vec<usize>> {
    let mut closes = vec![0; tokens.len()];
    let mut open = Vec::new();
    for (index, piece) in tokens.iter().enumerate() {
        match piece.token {
            Token::BracketOpen | Token::ParenOpen | Token::BraceOpen => open.push(index),
            Token::BracketClose | Token::ParenClose | Token::BraceClose => closes[open.pop()?] = index,
            Token::BlockEnd | Token::VariableEnd if !open.is_empty() => return None,
            _ => {} // no bracket
        }
    }
    Some(closes)
}

/// Returns the bytes of literal text in each loop, by the begin of its tag, and in the rest.
fn weights(tokens: &[Piece<'_>]) -> (BTreeMap<usize, usize>, usize) {
    let (mut loops, mut whole, mut inside) = (BTreeMap::new(), 0, Vec::new());
    for (index, piece) in tokens.iter().enumerate() {
        match (&piece.token, tokens.get(index + 1).map(|next| &next.token)) {
            (Token::TemplateData(data), _) => match inside.last() {
                Some(tag) => *loops.entry(*tag).or_default() += data.len(),
                None => whole += data.len(),
            },
            (Token::BlockStart, Some(Token::Ident("for"))) => inside.push(index),
            (Token::BlockStart, Some(Token::Ident("endfor"))) => drop(inside.pop()),
            _ => {} // neither text nor a loop
        }
    }
    (loops, whole)
}

struct Guard<'t> {
    text: &'t str,
    tokens: &'t [Piece<'t>],
    closes: Vec<usize>,
    out: String,
    /// What is copied already.
    at: usize,
}

impl Guard<'_> {
    fn copy(&mut self, to: usize) {
        self.out.push_str(&self.text[self.at..to]);
        self.at = to;
    }

    fn before(&mut self, index: usize, text: &str) {
        self.copy(self.tokens[index].start);
        self.out.push_str(text);
    }

    fn after(&mut self, index: usize, text: &str) {
        self.copy(self.tokens[index].end);
        self.out.push_str(text);
    }

    fn weigh(&mut self, weight: usize, dash: &str) {
        if weight > WEIGHT_MIN {
            self.out.push_str(&format!("{{{{{weight}|__weighed{dash}}}}}"));
        }
    }

    /// A tag that begins with a word. What it gives a value to stays as it is.
    fn statement(&mut self, from: usize, to: usize) {
        let top = |is: &dyn Fn(&Token<'_>) -> bool| self.top(from, to).find(|index| is(&self.tokens[*index].token));
        let begin = match self.tokens.get(from).map(|piece| &piece.token) {
            Some(Token::Ident("for")) => top(&|token| matches!(token, Token::Ident("in"))),
            Some(Token::Ident("set")) => top(&|token| matches!(token, Token::Assign)),
            Some(Token::Ident("call")) if matches!(self.tokens[from + 1].token, Token::ParenOpen) => Some(self.closes[from + 1]),
            _ => None, // the value begins after the word
        };
        self.elements(begin.unwrap_or(from) + 1, to);
    }

    /// Returns what stands in no brackets.
    fn top(&self, from: usize, to: usize) -> impl Iterator<Item = usize> {
        let mut next = from;
        std::iter::from_fn(move || {
            let index = next;
            next = if self.opens(index) { self.closes[index] } else { index } + 1;
            (index < to).then_some(index)
        })
    }

    /// Expressions with something between them.
    fn elements(&mut self, from: usize, to: usize) {
        let ends: Vec<usize> = self.top(from, to).filter(|index| self.separates(*index, from)).chain([to]).collect();
        let mut start = from;
        for end in ends {
            let is_name = end < to && matches!(self.tokens[end].token, Token::Assign);
            let spread = (start..end).take_while(|index| matches!(self.tokens[*index].token, Token::Mul | Token::Pow)).count();
            if !is_name && start + spread < end {
                self.chain(start + spread, end, Level::Sum);
            }
            start = end + 1;
        }
    }

    /// Operands of one rank, with its operators between them.
    fn chain(&mut self, from: usize, to: usize, level: Level) {
        let Some(next) = level.next() else { return self.operand(from, to) };
        let is_operator = |index: &usize| *index > from && level.holds(&self.tokens[*index].token) && self.ends_value(*index - 1);
        let operators: Vec<usize> = self.top(from, to).filter(is_operator).collect();
        let grows = operators.iter().any(|index| matches!(self.tokens[*index].token, Token::Plus | Token::Tilde | Token::Mul));
        if !grows {
            let mut start = from;
            for end in operators.into_iter().chain([to]) {
                self.chain(start, end, next);
                start = end + 1;
            }
            return;
        }
        if level == Level::Product {
            return self.product(from, to, &operators);
        }
        self.before(from, "(");
        let mut start = from;
        for end in operators.into_iter().chain([to]) {
            let is_text = level == Level::Text;
            if is_text {
                self.before(start, "(");
            }
            self.chain(start, end, next);
            if is_text {
                self.after(end - 1, ")|__printed");
            }
            start = end + 1;
        }
        self.after(to - 1, ")|__sized");
    }

    /// A multiplication is a filter: it must be refused before it is made, and so must that of two constants.
    fn product(&mut self, from: usize, to: usize, operators: &[usize]) {
        let is_times = |nth: usize| matches!(self.tokens[operators[nth]].token, Token::Mul);
        let begins = |nth: &usize| is_times(*nth) && (*nth == 0 || !is_times(*nth - 1));
        let opened = "(".repeat((0..operators.len()).filter(begins).count());
        self.before(from, &opened);
        let (mut start, mut was_times) = (from, false);
        for end in operators.iter().copied().chain([to]) {
            self.chain(start, end, Level::Power);
            let is_times = end < to && matches!(self.tokens[end].token, Token::Mul);
            if was_times || is_times {
                self.after(end - 1, ")");
            }
            if is_times {
                self.out.push_str("|__times(");
                self.copy(self.tokens[end].start);
                self.at = self.tokens[end].end;
            }
            (start, was_times) = (end + 1, is_times);
        }
    }

    /// One value with all that is asked of it.
    fn operand(&mut self, from: usize, to: usize) {
        let opened: Vec<usize> = self.top(from, to).filter(|index| self.opens(*index)).collect();
        for index in opened {
            let end = self.closes[index];
            let is_list = match self.tokens[index].token {
                Token::ParenOpen => self.top(index + 1, end).any(|index| matches!(self.tokens[index].token, Token::Comma)),
                _ => true, // a list or a map, or what is looked up
            };
            let is_built = is_list && end > index + 1 && (index == from || !self.ends_value(index - 1));
            if is_built {
                self.before(index, "(");
            }
            self.elements(index + 1, end);
            if is_built {
                self.after(end, "|__built)");
            }
        }
    }

    fn opens(&self, index: usize) -> bool {
        matches!(self.tokens[index].token, Token::BracketOpen | Token::ParenOpen | Token::BraceOpen)
    }

    /// True for what an operator may follow, and what brackets then call or look into.
    fn ends_value(&self, index: usize) -> bool {
        match &self.tokens[index].token {
            Token::Ident("and" | "or" | "not" | "in" | "is" | "if" | "else") => self.is_named(index),
            Token::Ident(_) | Token::Str(_) | Token::String(_) | Token::Int(_) | Token::Int128(_) | Token::Float(_) => true,
            token => matches!(token, Token::BracketClose | Token::ParenClose | Token::BraceClose),
        }
    }

    /// True for the name of a key, a filter or a test.
    fn is_named(&self, index: usize) -> bool {
        let before = |back: usize| index.checked_sub(back).map(|index| &self.tokens[index].token);
        match before(1) {
            Some(Token::Dot | Token::Pipe | Token::Ident("is")) => true,
            Some(Token::Ident("not")) => matches!(before(2), Some(Token::Ident("is"))),
            _ => false,
        }
    }

    fn separates(&self, index: usize, from: usize) -> bool {
        match &self.tokens[index].token {
            Token::Comma | Token::Colon | Token::Assign => true,
            Token::Eq | Token::Ne | Token::Lt | Token::Lte | Token::Gt | Token::Gte => true,
            Token::Ident("and" | "or" | "not" | "in" | "if" | "else") => !self.is_named(index),
            Token::Ident(word) => PARTS.contains(word) && !self.is_named(index) && index > from && self.ends_value(index - 1),
            _ => false, // a part of a value
        }
    }
}

/// Operators by how tight they bind, the loosest first.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Sum,
    Text,
    Product,
    Power,
    Value,
}

impl Level {
    fn next(self) -> Option<Self> {
        match self {
            Level::Sum => Some(Level::Text),
            Level::Text => Some(Level::Product),
            Level::Product => Some(Level::Power),
            Level::Power => Some(Level::Value),
            Level::Value => None,
        }
    }

    fn holds(self, token: &Token<'_>) -> bool {
        match self {
            Level::Sum => matches!(token, Token::Plus | Token::Minus),
            Level::Text => matches!(token, Token::Tilde),
            Level::Product => matches!(token, Token::Mul | Token::Div | Token::FloorDiv | Token::Mod),
            Level::Power => matches!(token, Token::Pow),
            Level::Value => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_or_builds_a_value_is_guarded_and_nothing_else() {
        for (text, with) in [
            ("{{ a ~ b.c }}", "{{ ((a)|__printed ~ (b.c)|__printed)|__sized }}"),
            ("{{ a - 1 }}{{ -a / 2 }}", "{{ a - 1 }}{{ -a / 2 }}"),
            ("{{ a / 2 * 3*b - 1 }}", "{{ (a / 2)|__times(  3)|__times(b) - 1 }}"),
            ("{{ 2 ~ a|f(b + 1) }}", "{{ ((2)|__printed ~ (a|f((b + 1)|__sized))|__printed)|__sized }}"),
            ("{{ [a, {'b': c}][0] }}", "{{ ([a, ({'b': c}|__built)]|__built)[0] }}"),
            ("{% set [a, b] = (c, 1) %}", "{% set [a, b] = ((c, 1)|__built) %}"),
            (
                "{% for (a, b) in c if a ~ b is string %}{% endfor %}",
                "{% for (a, b) in c if ((a)|__printed ~ (b is string)|__printed)|__sized %}{% endfor %}",
            ),
            ("{% include a + 'b' ignore missing %}", "{% include (a + 'b')|__sized ignore missing %}"),
            ("{% raw %}{{ a ~ b }}{% endraw %}{# a ~ b #}", "{% raw %}{{ a ~ b }}{% endraw %}{# a ~ b #}"),
            (
                "{{ m(*a, b=-c, **d) if not a in [1] else a is not in [2] }}",
                "{{ m(*a, b=-c, **d) if not a in ([1]|__built) else a is not in [2] }}",
            ),
        ] {
            assert_eq!(guarded(text), with, "{text}");
        }
    }

    #[test]
    fn text_in_a_loop_is_weighed_and_blanks_are_trimmed_as_before() {
        let long = "x".repeat(100);
        let text = format!("{{% for a in b -%}}  {long}{{% endfor %}}");
        assert_eq!(guarded(&text), format!("{{% for a in b -%}}{{{{100|__weighed-}}}}  {long}{{% endfor %}}"));
        assert_eq!(guarded(&long), format!("{{{{100|__weighed}}}}{long}"));
    }
}
