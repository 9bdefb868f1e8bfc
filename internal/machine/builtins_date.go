package machine

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseDate reads what scripts give to date -d and touch -d.
func parseDate(text string, now time.Time) (time.Time, error) {
	if text == "now" || text == "" {
		return now, nil
	}
	if epoch, ok := strings.CutPrefix(text, "@"); ok {
		number, err := strconv.ParseInt(epoch, 10, 64)
		return time.Unix(number, 0), err
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if parsed, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return parsed, nil
		}
	}
	return now, errors.New("invalid date")
}

func runDate(c *call) int {
	o, ok := c.parse("uRd:I", "utc", "date:", "iso-8601", "rfc-3339:", "reference:")
	if !ok {
		return 1
	}
	now := time.Now()
	if o.has("u", "utc") {
		now = now.UTC()
	}
	at, err := parseDate(o.get("d", "date"), now)
	if err != nil {
		c.errorf("invalid date '%s'", o.get("d", "date"))
		return 1
	}
	if o.has("u", "utc") {
		at = at.UTC()
	}
	switch {
	case len(o.rest) > 0 && strings.HasPrefix(o.rest[0], "+"):
		fmt.Fprintln(c.out, strftime(o.rest[0][1:], at))
	case o.has("I", "iso-8601"):
		fmt.Fprintln(c.out, at.Format("2006-01-02"))
	case o.has("R"):
		fmt.Fprintln(c.out, at.Format(time.RFC1123Z))
	default:
		fmt.Fprintln(c.out, at.Format(time.UnixDate))
	}
	return 0
}

func strftime(format string, at time.Time) string {
	layouts := map[byte]string{'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'F': "2006-01-02", 'T': "15:04:05", 'y': "06",
		'b': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday", 'Z': "MST", 'z': "-0700", 'N': "000000000", 'e': "_2", 'j': "002", 'R': "15:04", 'I': "03", 'p': "PM", 'c': time.ANSIC, 'D': "01/02/06"}
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out.WriteByte(format[i])
			continue
		}
		i++
		switch letter := format[i]; {
		case letter == 's':
			out.WriteString(strconv.FormatInt(at.Unix(), 10))
		case letter == 'N':
			fmt.Fprintf(&out, "%09d", at.Nanosecond())
		case letter == '3' && i+1 < len(format) && format[i+1] == 'N':
			i++
			fmt.Fprintf(&out, "%03d", at.Nanosecond()/1e6)
		case layouts[letter] != "":
			out.WriteString(at.Format(layouts[letter]))
		case letter == 'n':
			out.WriteByte('\n')
		default:
			out.WriteByte(letter)
		}
	}
	return out.String()
}
