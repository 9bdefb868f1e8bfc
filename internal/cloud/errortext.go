package cloud

import (
	"context"
	"regexp"
	"strings"
)

// What the SDK wraps around AWS's own words: which client it was, how often it
// tried, the status of HTTP, the ID of the request.
var (
	operationError = regexp.MustCompile(`operation error ([A-Za-z0-9 ]+): (\w+), `)
	attempts       = regexp.MustCompile(`exceeded maximum number of attempts, (\d+), `)
	apiError       = regexp.MustCompile(`https response error StatusCode: \d+, RequestID: [^,]*, (?:api error )?([A-Z][\w.]+): `)
	noAnswer       = regexp.MustCompile(`https response error StatusCode: 0, RequestID: [^,]*, `)
	otherAnswer    = regexp.MustCompile(`https response error StatusCode: (\d+), RequestID: [^,]*, `)
)

// Plain shortens what errors of the SDK say to what a user needs:
//
//	ec2 CreateSubnet: InvalidSubnet.Conflict: The CIDR ... conflicts
//
// What ends because somebody stopped it is interrupted. Everything else stays. The record of a run keeps the whole text, request IDs
// included.
func Plain(text string) string {
	text = strings.ReplaceAll(text, context.Canceled.Error(), "interrupted")
	if !strings.Contains(text, "operation error ") {
		return text
	}
	text = operationError.ReplaceAllStringFunc(text, func(match string) string {
		parts := operationError.FindStringSubmatch(match)
		return strings.ToLower(parts[1]) + " " + parts[2] + ": "
	})
	text = attempts.ReplaceAllString(text, "after $1 attempts: ")
	text = apiError.ReplaceAllString(text, "$1: ")
	text = noAnswer.ReplaceAllString(text, "")
	return otherAnswer.ReplaceAllString(text, "HTTP $1, ")
}
