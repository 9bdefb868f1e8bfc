package diag

import "fmt"

// Suggest returns the one of known that word was most likely meant to be, or
// "" when none is near: an edit distance of at most a third of its length, and
// at least one letter kept.
func Suggest(word string, known []string) string {
	best, bestDistance := "", 1<<30
	for _, k := range known {
		d := distance(word, k)
		limit := max(len(k), len(word)) / 3
		if limit < 1 {
			limit = 1
		}
		if d <= limit && d < bestDistance && d < len(k) {
			best, bestDistance = k, d
		}
	}
	return best
}

// DidYouMean is Suggest as a hint: `did you mean "subnet"?`, or "".
func DidYouMean(word string, known []string) string {
	if s := Suggest(word, known); s != "" {
		return fmt.Sprintf("did you mean %q?", s)
	}
	return ""
}

// distance is the optimal string alignment distance: insertions, deletions,
// substitutions and swaps of neighbours count one each.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	d := make([][]int, len(s)+1)
	for i := range d {
		d[i] = make([]int, len(t)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(s); i++ {
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(s)][len(t)]
}
