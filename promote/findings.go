package promote

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/fail"
)

// severities, the least first.
var severities = []string{"none", "low", "medium", "high", "critical"}

// otherWords are what scanners call severities beside those.
var otherWords = map[string]string{
	"negligible": "none", "informational": "none", "info": "none", "undefined": "low", "untriaged": "low", "unknown": "low", "moderate": "medium", "important": "high",
}

// passedOver are parts of a report that are no findings of their own: what Grype
// (related, ignored) and Trivy (modified) keep of what is said elsewhere, or was set
// aside by whoever runs the scanner.
var passedOver = []string{"relatedvulnerabilities", "ignoredmatches", "experimentalmodifiedfindings"}

func rank(severity string) int { return slices.Index(severities, severity) }

// Findings reads the report of a scanner: JSON in which every key called
// severity, in whatever case and place, says how bad one finding is. Trivy, Grype
// and Amazon Inspector write such reports; several may follow each other. It gives
// the number of findings by severity. What does not look like a report is wrong
// input: that nothing was found has to be said.
func Findings(report []byte) (map[string]int, error) {
	r := findings{found: map[string]int{}}
	decoder := json.NewDecoder(bytes.NewReader(report))
	for n := 0; ; n++ {
		var document any
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) && n > 0 {
			return r.found, nil
		}
		if err != nil {
			return nil, fail.Inputf("the findings are no JSON: %w", err)
		}
		r.severities = 0
		if err := r.read(document); err != nil {
			return nil, err
		}
		if r.severities == 0 && !nothingFound(document) {
			err := fail.Inputf("the findings are no report: they name no severity, and no list of findings that is empty")
			return nil, fail.WithHint(err, "give JSON as trivy --format json, grype -o json or aws inspector2 list-findings write it")
		}
	}
}

// nothingFound tells whether a report without a severity says that nothing was
// found. Trivy lists what it looked at, with or without findings.
func nothingFound(document any) bool {
	if list, ok := document.([]any); ok {
		return len(list) == 0
	}
	object, ok := document.(map[string]any)
	if !ok {
		return false
	}
	for key, v := range object {
		list, isList := v.([]any)
		switch strings.ToLower(key) {
		case "results":
			if isList || v == nil {
				return true
			}
		case "artifactname":
			return true
		case "imagescanfindings": // Amazon ECR's
			return nothingFound(v)
		case "findings", "matches", "vulnerabilities":
			if isList && len(list) == 0 || v == nil {
				return true
			}
		}
	}
	return false
}

// findings counts what a report finds.
type findings struct {
	found      map[string]int // by severity
	severities int            // how many stand in one document, counted or not
}

func (r *findings) read(v any) error {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := r.read(e); err != nil {
				return err
			}
		}
	case map[string]any:
		return r.readObject(v)
	}
	return nil
}

func (r *findings) readObject(v map[string]any) error {
	for key, e := range v {
		switch {
		case slices.Contains(passedOver, strings.ToLower(key)):
			continue
		case !strings.EqualFold(key, "severity"):
			if err := r.read(e); err != nil {
				return err
			}
			continue
		}
		word, ok := e.(string)
		severity := strings.ToLower(word)
		if other, known := otherWords[severity]; known {
			severity = other
		}
		if !ok || rank(severity) < 0 {
			text, _ := json.Marshal(e) // it was JSON
			return fail.WithHint(fail.Inputf("the findings have a severity %s", text), "known are %s", strings.Join(severities, ", "))
		}
		r.severities++
		if !setAside(v) {
			r.found[severity]++
		}
	}
	return nil
}

// setAside tells whether a finding of Amazon Inspector's counts no more.
func setAside(finding map[string]any) bool {
	return finding["status"] == "SUPPRESSED" || finding["status"] == "CLOSED"
}
