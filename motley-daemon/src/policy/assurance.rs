//! Assurance tiers: expressions over what the provider vouches for (REFEDS Assurance Framework).

use crate::verified::Verified;
use feudal_plugins::Tier;
use serde_json::Value;
use std::collections::BTreeSet;

/// Deepest nesting of parentheses.
const MAX_DEPTH: usize = 64;

/// Why a text is no expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// Something is missing at the end.
    #[error("the expression ends where a value is expected")]
    UnexpectedEnd,
    /// A `(` is not closed.
    #[error("a `)` is missing")]
    MissingParenthesis,
    /// Something stands behind the end.
    #[error("two values stand side by side, or a `)` is too many")]
    TrailingTokens,
    /// Too many parentheses inside each other.
    #[error("more than {MAX_DEPTH} parentheses stand inside each other")]
    TooDeep,
}

/// A Boolean expression over assurance values.
///
/// `or := and ("|" and)*`, `and := term ("&" term)*`, `term := "(" or ")" | value`. The value `+`
/// holds for people with any assurance, `*` for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// Holds for everybody.
    Everybody,
    /// Holds when there is any value.
    Anything,
    /// Holds when one of these values is there: the word itself, or with its prefix.
    Value(Vec<String>),
    /// Holds when all of these hold.
    All(Vec<Expression>),
    /// Holds when one of these holds.
    OneOf(Vec<Expression>),
}

impl Expression {
    /// Reads an expression. Relative words are looked for as they are, and behind `prefix`. An
    /// empty text holds for nobody.
    ///
    /// # Errors
    /// Says what is missing or too much.
    pub fn parse(text: &str, prefix: &str) -> Result<Self, ExpressionError> {
        if text.trim().is_empty() {
            return Ok(Self::OneOf(Vec::new()));
        }
        let mut parser = Parser { tokens: tokens(text), at: 0, prefix, depth: 0 };
        let expression = parser.or()?;
        match parser.peek() {
            None => Ok(expression),
            Some(_) => Err(ExpressionError::TrailingTokens),
        }
    }

    /// True when it holds for these values.
    pub fn holds(&self, values: &BTreeSet<String>) -> bool {
        match self {
            Self::Everybody => true,
            Self::Anything => !values.is_empty(),
            Self::Value(forms) => forms.iter().any(|form| values.contains(form)),
            Self::All(parts) => parts.iter().all(|part| part.holds(values)),
            Self::OneOf(parts) => parts.iter().any(|part| part.holds(values)),
        }
    }
}

/// Operators stand alone; everything between them and blanks is a word.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    for run in text.split_whitespace() {
        let mut rest = run;
        while let Some(at) = rest.find(['(', ')', '&', '|']) {
            let (word, tail) = rest.split_at(at);
            let (operator, tail) = tail.split_at(1);
            tokens.extend([word, operator].into_iter().filter(|token| !token.is_empty()));
            rest = tail;
        }
        if !rest.is_empty() {
            tokens.push(rest);
        }
    }
    tokens
}

struct Parser<'a> {
    tokens: Vec<&'a str>,
    at: usize,
    prefix: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'a str> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn or(&mut self) -> Result<Expression, ExpressionError> {
        let mut parts = vec![self.and()?];
        while self.peek() == Some("|") {
            self.at += 1;
            parts.push(self.and()?);
        }
        Ok(Expression::OneOf(parts))
    }

    fn and(&mut self) -> Result<Expression, ExpressionError> {
        let mut parts = vec![self.term()?];
        while self.peek() == Some("&") {
            self.at += 1;
            parts.push(self.term()?);
        }
        Ok(Expression::All(parts))
    }

    fn term(&mut self) -> Result<Expression, ExpressionError> {
        match self.next() {
            None => Err(ExpressionError::UnexpectedEnd),
            Some("(") => self.parenthesis(),
            Some("*") => Ok(Expression::Everybody),
            Some("+") => Ok(Expression::Anything),
            // An operator where a value is expected is taken for a value, which nobody has.
            Some(word) => Ok(Expression::Value(self.forms(word))),
        }
    }

    fn parenthesis(&mut self) -> Result<Expression, ExpressionError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ExpressionError::TooDeep);
        }
        let inside = self.or()?;
        self.depth -= 1;
        match self.next() {
            Some(")") => Ok(inside),
            _ => Err(ExpressionError::MissingParenthesis),
        }
    }

    fn forms(&self, word: &str) -> Vec<String> {
        if word.starts_with("http://") || word.starts_with("https://") {
            return vec![word.to_owned()];
        }
        vec![word.to_owned(), format!("{}/{word}", self.prefix.trim_end_matches('/'))]
    }
}

/// How assurance becomes a tier at one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssurancePolicy {
    /// Claims in which values are looked for.
    pub claims: Vec<String>,
    /// Expressions by tier, in the order full, limited, restricted; the first that holds counts.
    pub expressions: Vec<(Tier, Expression)>,
    /// Tier of people for whom none holds; `None`: full if there is no expression, else restricted.
    pub default: Option<Tier>,
    /// Highest tier.
    pub max: Option<Tier>,
}

impl AssurancePolicy {
    /// Tier of people for whom no expression holds.
    pub fn fallback(&self) -> Tier {
        let built_in = if self.expressions.is_empty() { Tier::Full } else { Tier::Restricted };
        self.default.unwrap_or(built_in)
    }
}

/// Why a tier is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TierGround {
    /// The provider vouches for what this tier needs.
    Earned,
    /// Nothing is asked for, so all get the same.
    Everybody,
    /// The provider vouches for nothing that is asked for.
    NothingEarned,
    /// Nobody of this provider gets more.
    Capped,
}

/// A tier and why it is that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierDecision {
    /// The tier.
    pub tier: Tier,
    /// Which option decided, for the audit trail.
    pub reason: String,
    /// The same, for a sentence that a person understands.
    pub ground: TierGround,
    /// The values that were found.
    pub values: BTreeSet<String>,
}

impl TierDecision {
    /// Why it is this tier, in a sentence for the person. Holds no value of a claim.
    pub fn sentence(&self) -> String {
        let tier = self.tier;
        match self.ground {
            TierGround::Earned => format!(
                "Your home organisation has checked who you are as well as the shell of tier {tier} \
                 needs."
            ),
            TierGround::Everybody => {
                format!("Everybody of your home organisation gets the shell of tier {tier}.")
            }
            TierGround::NothingEarned => format!(
                "What your home organisation says about how well it knows you is not enough for \
                 more than the shell of tier {tier}."
            ),
            TierGround::Capped => format!(
                "Nobody of your home organisation gets more than the shell of tier {tier} here."
            ),
        }
    }
}

/// The tier that a person's assurance earns.
pub fn tier(policy: &AssurancePolicy, who: &Verified) -> TierDecision {
    let values = assurance_values(&policy.claims, who);
    let matched = policy.expressions.iter().find(|(_, expression)| expression.holds(&values));
    let (mut tier, mut reason, mut ground) = match matched {
        Some((tier, _)) => {
            (*tier, format!("matched assurance_based_shell_tier_{tier}"), TierGround::Earned)
        }
        None => {
            let tier = policy.fallback();
            let reason = format!("no tier expression matched, using default tier '{tier}'");
            let is_free = policy.expressions.is_empty();
            let ground = if is_free { TierGround::Everybody } else { TierGround::NothingEarned };
            (tier, reason, ground)
        }
    };
    if let Some(max) = policy.max.filter(|max| *max < tier) {
        tier = max;
        ground = TierGround::Capped;
        reason += &format!(", then capped to '{max}' by assurance_based_shell_max_tier");
    }
    TierDecision { tier, reason, ground, values }
}

/// Values of all configured claims in all sources.
fn assurance_values(claims: &[String], who: &Verified) -> BTreeSet<String> {
    let sources = who.sources();
    let mut values = BTreeSet::new();
    for source in [&sources.userinfo, &sources.introspection, &sources.token].into_iter().flatten()
    {
        for claim in claims.iter().filter_map(|claim| source.get(claim)) {
            collect(claim, &mut values);
        }
    }
    values
}

/// A text counts as itself and as each of its words (`acr` may list several, OpenID Connect Core
/// 1.0 §5.5.1.1); elements of a list are not split.
fn collect(claim: &Value, values: &mut BTreeSet<String>) {
    match claim {
        Value::Null => {}
        Value::String(text) => {
            values.insert(text.clone());
            values.extend(text.split_whitespace().map(str::to_owned));
        }
        Value::Array(items) => {
            values.extend(items.iter().filter(|item| !item.is_null()).map(as_text));
        }
        other => {
            values.insert(as_text(other));
        }
    }
    values.remove("");
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // Written as in the Python stack, so that expressions that sites have go on to hold.
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        other => other.to_string(),
    }
}
