//! What a side says, in numbers that can be compared.

use std::ops::{AddAssign, Sub};

/// Costs closer than this are the same: they are sums of binary fractions of dollars.
const COST_TOLERANCE_USD: f64 = 1e-6;

/// Requests, their tokens and their cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Sums {
    pub requests: i64,
    pub cost_usd: f64,
    pub input: i64,
    pub output: i64,
    pub cache_read: i64,
    pub cache_creation: i64,
    /// Requests without a price: their tokens count, and their cost is not known.
    pub unpriced_requests: i64,
}

impl Sums {
    pub fn tokens(&self) -> [i64; 4] {
        [self.input, self.output, self.cache_read, self.cache_creation]
    }

    pub fn same_cost(&self, other: &Self) -> bool {
        (self.cost_usd - other.cost_usd).abs() <= COST_TOLERANCE_USD
    }

    pub fn same_tokens(&self, other: &Self) -> bool {
        self.tokens() == other.tokens()
    }

    /// Whether both say the same of cost, as far as it is known, and of tokens.
    pub fn agrees(&self, other: &Self) -> bool {
        let priced = self.unpriced_requests == 0 && other.unpriced_requests == 0;
        self.same_tokens(other) && (!priced || self.same_cost(other))
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.cost_usd += other.cost_usd;
        self.input += other.input;
        self.output += other.output;
        self.cache_read += other.cache_read;
        self.cache_creation += other.cache_creation;
        self.unpriced_requests += other.unpriced_requests;
    }
}

impl Sub for Sums {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            requests: self.requests - other.requests,
            cost_usd: self.cost_usd - other.cost_usd,
            input: self.input - other.input,
            output: self.output - other.output,
            cache_read: self.cache_read - other.cache_read,
            cache_creation: self.cache_creation - other.cache_creation,
            unpriced_requests: self.unpriced_requests - other.unpriced_requests,
        }
    }
}
