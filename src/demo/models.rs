//! The models of the demo, and what they cost.

/// A cost is a multiple of this, of which doubles add up exactly.
const COST_STEPS_PER_DOLLAR: f64 = 1_048_576.0;
const TOKENS_PER_PRICE: f64 = 1e6;
/// What a request in fast mode costs more.
const FAST_FACTOR: f64 = 6.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Model {
    Opus,
    Sonnet,
    Haiku,
}

impl Model {
    /// As events name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opus => "claude-opus-4-8",
            Self::Sonnet => "claude-sonnet-4-5",
            Self::Haiku => "claude-haiku-4-5-20251001",
        }
    }

    /// Dollars a million tokens: list prices.
    fn prices(self) -> Tokens<f64> {
        let (input, output) = match self {
            Self::Opus => (5.0, 25.0),
            Self::Sonnet => (3.0, 15.0),
            Self::Haiku => (1.0, 5.0),
        };
        Tokens { input, output, cache_read: input * 0.1, cache_creation: input * 1.25 }
    }
}

/// A model, and how it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    pub model: Model,
    /// With the context of a million tokens: `[1m]`.
    pub long: bool,
    pub fast: bool,
    pub effort: Option<&'static str>,
}

impl Running {
    pub const fn plain(model: Model) -> Self {
        Self { model, long: false, fast: false, effort: None }
    }

    /// As metrics name it.
    pub fn metric_name(self) -> String {
        format!("{}{}", self.model.name(), if self.long { "[1m]" } else { "" })
    }

    /// From here on a session is compacted.
    pub fn context_max(self) -> u64 {
        if self.long { 700_000 } else { 165_000 }
    }

    /// The list price of a request.
    #[expect(clippy::cast_precision_loss, reason = "tokens of one request are far below 2^53")]
    pub fn cost_usd(self, tokens: &Tokens<u64>) -> f64 {
        let prices = self.model.prices();
        let pairs = [
            (tokens.input, prices.input),
            (tokens.output, prices.output),
            (tokens.cache_read, prices.cache_read),
            (tokens.cache_creation, prices.cache_creation),
        ];
        let dollars: f64 =
            pairs.iter().map(|(count, price)| *count as f64 * price / TOKENS_PER_PRICE).sum();
        let factor = if self.fast { FAST_FACTOR } else { 1.0 };
        (dollars * factor * COST_STEPS_PER_DOLLAR).round() / COST_STEPS_PER_DOLLAR
    }
}

/// Something for each type of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens<T> {
    pub input: T,
    pub output: T,
    pub cache_read: T,
    pub cache_creation: T,
}

impl<T: Copy> Tokens<T> {
    /// By the types that metrics have.
    pub fn by_type(&self) -> [(&'static str, T); 4] {
        [
            ("input", self.input),
            ("output", self.output),
            ("cacheRead", self.cache_read),
            ("cacheCreation", self.cache_creation),
        ]
    }
}

impl Tokens<u64> {
    pub fn add(&mut self, other: &Self) {
        self.input += other.input;
        self.output += other.output;
        self.cache_read += other.cache_read;
        self.cache_creation += other.cache_creation;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_the_list_price_to_a_millionth_and_adds_up_exactly() {
        let tokens = Tokens { input: 12, output: 640, cache_read: 81_233, cache_creation: 2_411 };
        let cost = Running::plain(Model::Opus).cost_usd(&tokens);
        assert!((cost - 0.071_745_25).abs() < 1e-6, "{cost}");
        let fast = Running { fast: true, ..Running::plain(Model::Opus) };
        assert!((fast.cost_usd(&tokens) - 6.0 * 0.071_745_25).abs() < 1e-6);
        let forward = (0..1000).fold(0.0, |sum, _| sum + cost) + fast.cost_usd(&tokens);
        let backward = (0..1000).fold(fast.cost_usd(&tokens), |sum, _| sum + cost);
        assert_eq!(forward, backward);
        assert_eq!(forward - fast.cost_usd(&tokens), cost * 1000.0);
    }
}
