# `make help` lists the targets.
.DEFAULT_GOAL := help
GO ?= go

## help: list the targets
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST) | awk -F': ' '{printf "  %-8s %s\n", $$1, $$2}'

## build: bin/goldline
build:
	$(GO) build -trimpath -o bin/goldline ./cmd/goldline

## test: all tests
test:
	$(GO) test -timeout 9m ./...

## plugin: bin/packer-plugin-remark, which the tests build again to try plugins
plugin:
	cd internal/plugin/testdata/plugin && $(GO) build -trimpath -o $(CURDIR)/bin/packer-plugin-remark .

## faults: every call of bakes, roll-outs, promotions and going back goes wrong in every way
faults:
	FAULTS=all ROLLOUT_FAULTS=all $(GO) test -timeout 90m -run 'EveryCall|EveryChange|GoingBack' ./bake ./launch ./promote ./pipelines

## race: all but cmd under the race detector, the short tests
race:
	$(GO) test -race -short -timeout 20m ./internal/... ./pipelines ./promote ./launch ./bake

## check: formatting, go vet, the linters where golangci-lint is installed
check:
	@unformatted="$$(gofmt -l .)"; if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	@if command -v golangci-lint > /dev/null; then golangci-lint run; else echo "golangci-lint is not installed: its linters are skipped"; fi

## golden: write the golden files, docs/schema and docs/reference anew, for review with git diff
golden:
	GOLDEN=update $(GO) test ./...

## bench: the Go benchmarks, and the figures of bench/README.md
bench: build
	$(GO) test -run '^$$' -bench . -benchtime 1x ./...
	bench/run

.PHONY: help build test plugin faults race check golden bench
