//! What the uplift report says in words.

/// Why a verdict is what it is.
pub(super) const WITHOUT_NOUGHT: &str = "the interval of the difference does not contain 0";
pub(super) const WITH_NOUGHT: &str = "the interval of the difference contains 0: it may be chance";
pub(super) const NOBODY_HELD_OUT: &str =
    "no case of a customer who is held out was opened in the span; learning.holdout_percent sets their share";
pub(super) const NO_WINDOW_OVER: &str = "on one side no case has come to the end of its window";
pub(super) const TOO_FEW_EFFECTIVE: &str = "since somebody is held out, the cases that drew it where it could always be drawn tell as much as less than 100 of equal weight";

/// All of them.
pub const REASONS: [&str; 5] = [
    WITHOUT_NOUGHT,
    WITH_NOUGHT,
    NOBODY_HELD_OUT,
    NO_WINDOW_OVER,
    TOO_FEW_EFFECTIVE,
];

/// What each figure means, printed with every report.
pub const DEFINITIONS: [(&str, &str); 15] = [
    (
        "drawn, held_out",
        "A case is held out if its customer was when its arm was first chosen: by a hash of the customer, so a customer stays in or out. All others draw an arm, each case by itself, with a known probability. A case counts where its first draw put it, whatever staff or a later draw did (intention to treat).",
    ),
    (
        "window_over",
        "The campaign of the case would have ended by now. Shares, values and differences are of these cases alone, closed or not: recoveries close early and losses late, so the closed cases of a young cohort look better than they are.",
    ),
    ("maturity", "The share of the group's cases that are closed."),
    (
        "share",
        "Recovered cases of all cases whose window is over, those stopped or cancelled by the customer included. Recovered means what it means in the recovery report; money taken back later does not change it.",
    ),
    (
        "groups",
        "What happened in each group. Arms are drawn more often where they do better, so the cases of one are not like those of another: compare arms by off_policy, not by these shares.",
    ),
    (
        "low, high",
        "Intervals of 95 %, for one look at a time that was fixed beforehand: who looks every day will sooner or later see chance cross the line. Shares: Wilson; differences: Newcombe. The unit is the case, the variance is taken over customers, because one customer's cases meet one account.",
    ),
    (
        "independent_cases",
        "How many independent cases of equal weight would give an interval of that width.",
    ),
    (
        "verdict",
        "ahead or behind where the interval of the difference does not contain 0; else not yet distinguishable.",
    ),
    (
        "needed",
        "How many cases it takes until a difference of that size is told in four of five times at 95 %, with the holdout as large a part as now. Seen: if the difference is what it looks like; else an example.",
    ),
    (
        "net_values",
        "The mean of a case in minor units: payments booked while it was chased, less refunds and disputes after it, less fee_minor for each charge of ours. Intervals: 1.96 standard errors over customers, from 30 customers on. Currencies are never added together.",
    ),
    (
        "off_policy",
        "What an arm would have recovered had it planned every case of the sample in which it could be drawn. Left out are cases whose window is not over, that could draw one arm only, or that staff acted on beyond a note.",
    ),
    (
        "effective_cases",
        "The squared sum of the weights over the sum of their squares (ESS), where a weight is 1 over the probability of the draw. Below 100 no estimate is given.",
    ),
    (
        "snips, doubly_robust",
        "snips: the weighted mean over the cases that drew the arm. doubly_robust: what the share of its kind lets expect of every case, and the weighted mean of what the cases that drew the arm did beyond it.",
    ),
    (
        "off_policy.arms.against_holdout",
        "The arm by snips against the holdout, over campaigns and kinds in which every case could draw it, since somebody is held out.",
    ),
    (
        "splits",
        "Two versions of a campaign between which customers were divided by a hash of the customer: the cases opened while the division lasted, each for the version it was opened with, whatever it was moved to later (intention to treat). Shares, intervals and verdicts as above.",
    ),
];
