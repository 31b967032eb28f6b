// Branded strings: a value of such a type was made by its parse function and nowhere else.

declare const brand: unique symbol;

/** A string that only the parser of brand `B` makes. */
export type Brand<B extends string> = string & { readonly [brand]: B };
