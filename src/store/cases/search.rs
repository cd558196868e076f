//! The list of cases: by what it is filtered, how it is sorted, how many there are.

use jiff::Timestamp;
use sea_orm::sea_query::{Alias, Asterisk, Expr, Func, Query, SelectStatement, SimpleExpr, UnionType};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
};

use super::codec;
use crate::domain::case::Case;
use crate::domain::decline::DeclineKind;
use crate::domain::ids::CaseId;
use crate::domain::money::Currency;
use crate::domain::outcome::Status;
use crate::domain::search::{Figure, Sought};
use crate::domain::words::words;
use crate::store::StoreError;
use crate::store::entity::cases::{Column, Entity};

/// Further than this is not counted: the list only says that there are more.
pub const COUNTED_MAX: u64 = 10_000;

words! {
    /// How a list of cases is sorted.
    Sort {
        /// The newest first.
        Newest = "newest",
        /// The oldest first.
        Oldest = "oldest",
        /// The largest amount first; within one currency, that is what is owed most.
        Largest = "largest",
        /// The smallest amount first.
        Smallest = "smallest",
        /// Open ones, those whose next action comes first.
        Next = "next",
    }
}

/// Which cases to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseFilter {
    /// Only those that stand so.
    pub status: Option<Status>,
    /// Only those in this state, by its word.
    pub state: Option<String>,
    /// Only those of this customer.
    pub customer_id: Option<String>,
    /// Only those of this invoice.
    pub invoice_id: Option<String>,
    /// Only those whose last decline is of this kind.
    pub decline_kind: Option<DeclineKind>,
    /// Only those of this campaign, whatever its version.
    pub campaign: Option<String>,
    /// Only those that came by this connection.
    pub connection: Option<String>,
    /// Only open ones that a person has to look at: they wait for one, or carry a warning.
    pub needs_person: bool,
    /// Only those opened from the first instant on and before the second.
    pub opened: [Option<Timestamp>; 2],
    /// Only those of at least the first amount and at most the second.
    pub amount: [Option<Figure>; 2],
    /// Only those that this finds.
    pub sought: Option<Sought>,
    /// How they are sorted; the newest come first where nothing is said.
    pub sort: Option<Sort>,
    /// Only those after this one in the list.
    pub cursor: Option<CaseId>,
    /// At most this many.
    pub limit: u64,
}

/// Cases by their filter, in its order.
pub async fn list<C: ConnectionTrait>(conn: &C, filter: &CaseFilter) -> Result<Vec<Case>, StoreError> {
    let sort = filter.sort.unwrap_or(Sort::Newest);
    let mut query = matching(filter);
    if let Some(cursor) = &filter.cursor {
        let Some(beyond) = beyond(conn, sort, cursor).await? else {
            return Ok(Vec::new());
        };
        query = query.filter(beyond);
    }
    let query = match sort {
        Sort::Newest => query.order_by_desc(Column::Id),
        Sort::Oldest => query.order_by_asc(Column::Id),
        Sort::Largest => query.order_by_desc(Column::AmountMinor).order_by_desc(Column::Id),
        Sort::Smallest => query.order_by_asc(Column::AmountMinor).order_by_asc(Column::Id),
        Sort::Next => query.order_by_asc(Column::NextActionAt).order_by_asc(Column::Id),
    };
    let rows = query.limit(filter.limit).all(conn).await?;
    rows.into_iter().map(codec::decode).collect()
}

/// How many cases the filter lets through; one more than [`COUNTED_MAX`] where there are more.
pub async fn count<C: ConnectionTrait>(conn: &C, filter: &CaseFilter) -> Result<u64, StoreError> {
    let some = matching(filter)
        .select_only()
        .column(Column::Id)
        .limit(COUNTED_MAX + 1)
        .into_query();
    let counted = Query::select()
        .expr(Func::count(Expr::col(Asterisk)))
        .from_subquery(some, Alias::new("some"))
        .to_owned();
    let row = conn.query_one(&counted).await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn matching(filter: &CaseFilter) -> Select<Entity> {
    let words = [
        (Column::Status, filter.status.map(Status::as_str)),
        (Column::State, filter.state.as_deref()),
        (Column::CustomerId, filter.customer_id.as_deref()),
        (Column::InvoiceId, filter.invoice_id.as_deref()),
        (Column::DeclineKind, filter.decline_kind.map(DeclineKind::as_str)),
        (Column::CampaignName, filter.campaign.as_deref()),
        (Column::Connection, filter.connection.as_deref()),
    ];
    let mut all = Condition::all();
    for (column, word) in words {
        all = all.add_option(word.map(|word| column.eq(word)));
    }
    let [from, before] = filter.opened.map(|at| at.map(Timestamp::as_millisecond));
    let [least, most] = &filter.amount;
    all = all
        .add_option(from.map(|at| Column::OpenedAt.gte(at)))
        .add_option(before.map(|at| Column::OpenedAt.lt(at)))
        .add_option(
            least
                .as_ref()
                .map(|least| sized(least, &|minor| Column::AmountMinor.gte(minor))),
        )
        .add_option(
            most.as_ref()
                .map(|most| sized(most, &|minor| Column::AmountMinor.lte(minor))),
        )
        .add_option(filter.sought.as_ref().map(found));
    if filter.needs_person {
        let waits = Column::State.eq("needs_person").or(Column::Warnings.ne("[]"));
        all = all.add(Column::Status.eq(Status::Open.as_str())).add(waits);
    }
    if filter.sort == Some(Sort::Next) {
        let open = Column::Status.eq(Status::Open.as_str());
        all = all.add(open).add(Column::NextActionAt.is_not_null());
    }
    Entity::find().filter(all)
}

/// What follows a case in the order of a list; nothing where the case has no place in it any more.
async fn beyond<C: ConnectionTrait>(conn: &C, sort: Sort, cursor: &CaseId) -> Result<Option<Condition>, StoreError> {
    let (after, before) = (Column::Id.gt(cursor.as_str()), Column::Id.lt(cursor.as_str()));
    let column = match sort {
        Sort::Newest => return Ok(Some(Condition::all().add(before))),
        Sort::Oldest => return Ok(Some(Condition::all().add(after))),
        Sort::Largest | Sort::Smallest => Column::AmountMinor,
        Sort::Next => Column::NextActionAt,
    };
    let place = Entity::find_by_id(cursor.as_str())
        .select_only()
        .column(column)
        .into_tuple::<Option<i64>>()
        .one(conn)
        .await?;
    let Some(place) = place.flatten() else {
        return Ok(None);
    };
    let (further, among) = match sort {
        Sort::Largest => (column.lt(place), before),
        Sort::Newest | Sort::Oldest | Sort::Smallest | Sort::Next => (column.gt(place), after),
    };
    let same = Condition::all().add(column.eq(place)).add(among);
    Ok(Some(Condition::any().add(further).add(same)))
}

/// The condition of an amount, in minor units of whatever currency a case has.
fn sized(figure: &Figure, compare: &dyn Fn(i64) -> SimpleExpr) -> Condition {
    let of = |decimals: u32| Condition::all().add(compare(figure.minor(decimals)));
    if let Some(currency) = figure.currency {
        return of(currency.decimals()).add(Column::Currency.eq(currency.code()));
    }
    let mut any = Condition::any();
    for decimals in [0, 2, 3] {
        any = any.add(of(decimals).add(carries(decimals)));
    }
    any
}

/// Whether amounts of the currency of a case carry so many decimals.
fn carries(decimals: u32) -> SimpleExpr {
    let [none, three] = [0, 3].map(Currency::codes_with);
    match decimals {
        0 | 3 => Column::Currency.is_in(Currency::codes_with(decimals).iter().copied()),
        _ => Column::Currency.is_not_in(none.iter().chain(three).copied()),
    }
}

/// Each thing that a text may be has an index of its own: they are asked one by one, and never by a scan that tries all of them.
fn found(sought: &Sought) -> SimpleExpr {
    let id = sought.id.as_str();
    let mut ways: Vec<Condition> = [
        Column::CustomerId,
        Column::InvoiceId,
        Column::SubscriptionId,
        Column::Id,
    ]
    .iter()
    .map(|column| Condition::all().add(column.eq(id)))
    .collect();
    if let Some(address) = &sought.address {
        for column in [Column::ContactEmail, Column::ContactAlternate] {
            let small = Expr::expr(Func::lower(Expr::col((Entity, column))));
            ways.push(
                Condition::all()
                    .add(small.eq(address.as_str()))
                    .add(column.is_not_null()),
            );
        }
    }
    if let Some(last4) = &sought.last4 {
        ways.push(Condition::all().add(Column::CardLast4.eq(last4.as_str())));
    }
    if let Some(figure) = &sought.figure {
        let each = [0, 2, 3].into_iter().filter(|decimals| figure.fits(*decimals));
        for decimals in each {
            let amount = Condition::all().add(Column::AmountMinor.eq(figure.minor(decimals)));
            let currency = figure.currency.map(|currency| Column::Currency.eq(currency.code()));
            ways.push(amount.add(carries(decimals)).add_option(currency));
        }
    }
    let mut ways = ways.into_iter().map(ids_where);
    let mut all = ways.next().expect("a text may always be an id");
    for way in ways {
        all.union(UnionType::All, way);
    }
    Column::Id.in_subquery(all)
}

fn ids_where(condition: Condition) -> SelectStatement {
    Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(condition)
        .into_query()
}
