//! The parts of an input.

/// Stands between two parts. No text holds it: it is never part of UTF-8.
const MARK: u8 = 0xff;

/// The first `N` parts of an input; those that are missing are empty, and the last one is everything that is left.
pub fn parts<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut rest = input.splitn(N, |byte| *byte == MARK);
    std::array::from_fn(|_| rest.next().unwrap_or_default())
}

/// The first `N` bytes of an input, as they are, and what follows them; missing bytes are zero.
pub fn choices<const N: usize>(input: &[u8]) -> ([u8; N], &[u8]) {
    let (first, rest) = input.split_at(input.len().min(N));
    (
        std::array::from_fn(|at| first.get(at).copied().unwrap_or_default()),
        rest,
    )
}

/// Eight bytes from `at` on, as a number.
pub fn number(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(std::array::from_fn(|offset| bytes[at + offset]))
}

/// A part as text; what is no UTF-8 becomes a replacement character.
pub fn text(part: &[u8]) -> String {
    String::from_utf8_lossy(part).into_owned()
}

/// A part as text, where it is not empty.
pub fn some_text(part: &[u8]) -> Option<String> {
    (!part.is_empty()).then(|| text(part))
}

/// The member of `all` that `byte` chooses.
pub fn choose<T: Copy>(all: &[T], byte: u8) -> T {
    all[usize::from(byte) % all.len()]
}
