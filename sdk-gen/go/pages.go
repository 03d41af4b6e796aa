package sluice

import "iter"

// The most that servers put on a page.
const pageSize = 1000

// pages are all entries of all pages, each page asked for when it is needed.
func pages[E any](page func(token string) (entries []E, next string, err error)) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		for token, first := "", true; first || token != ""; first = false {
			entries, next, err := page(token)
			if err != nil {
				var none E
				yield(none, err)
				return
			}
			for _, entry := range entries {
				if !yield(entry, nil) {
					return
				}
			}
			token = next
		}
	}
}
