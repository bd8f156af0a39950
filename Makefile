# Each target looks for what it needs, and installs it where it can (scripts/need).
# Works with GNU make 3.81 and newer, and any POSIX sh.

.DEFAULT_GOAL := help
.PHONY: help demo test test-versions check-api bench screenshots run lint clean-demo

# Extra arguments for the program that a target runs: make test ARGS='--lib reducer'
ARGS ?=
# What `make test-versions` runs: the tests that drive a real Claude Code.
REAL_TESTS ?= --test it

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | \
		while IFS='|' read -r target what; do printf '  make %-14s %s\n' "$$target" "$$what"; done

demo: ## Show a real Claude Code being run, watched and approved (KEEP=1 leaves the page up)
	@scripts/need cargo cc git tmux npm
	@claude=$$(scripts/claude-code tested) && \
		cargo build --bin chorus --example demo && \
		CHORUS_TEST_CLAUDE="$$claude" KEEP="$(KEEP)" cargo run --quiet --example demo -- $(ARGS)

test: ## Run all tests, on the real Claude Code, tmux, PostgreSQL and Chromium
	@scripts/need cargo cc git tmux npm postgres chromium
	@scripts/playwright >/dev/null
	@claude=$$(scripts/claude-code tested) && \
		CHORUS_TEST_CLAUDE="$$claude" cargo test --workspace $(ARGS)

test-versions: ## Run the tests that need Claude Code on every supported version and on npm's newest
	@scripts/need cargo cc git tmux npm postgres chromium
	@scripts/playwright >/dev/null
	@versions= && \
	for which in tested also newest; do \
		version=$$(scripts/claude-code --version-only $$which) || exit 1; \
		case " $$versions " in \
		*" $$version "*) echo "== Claude Code $$version ($$which): the same again, skipped" ;; \
		*) versions="$$versions $$version" ;; \
		esac; \
	done; \
	failed=; \
	for version in $$versions; do \
		echo "== Claude Code $$version"; \
		{ claude=$$(scripts/claude-code $$version) && \
			CHORUS_TEST_CLAUDE="$$claude" cargo test $(REAL_TESTS) $(ARGS); } || \
			failed="$$failed $$version"; \
	done; \
	echo "== tested with Claude Code:$$versions"; \
	if [ -n "$$failed" ]; then echo "== FAILED with:$$failed"; exit 1; fi

check-api: ## Let Schemathesis look for answers that the API's description does not know
	@scripts/need cargo cc tmux python3
	@cargo build --bin chorus
	@scripts/check-api "$${CARGO_TARGET_DIR:-target}/debug/chorus" $(ARGS)

bench: ## Measure what docs/BENCHMARKS.md keeps
	@scripts/need cargo cc git tmux npm chromium
	@scripts/playwright >/dev/null
	@claude=$$(scripts/claude-code tested) && \
		cargo build --release --bin chorus --example bench && \
		CHORUS_TEST_CLAUDE="$$claude" cargo run --release --quiet --example bench -- $(ARGS)

screenshots: ## Draw docs/screenshots anew: every page, in both themes, on a desk and on a phone
	@scripts/need cargo cc git tmux npm chromium pngquant
	@scripts/playwright >/dev/null
	@claude=$$(scripts/claude-code tested) && \
		CHORUS_TEST_CLAUDE="$$claude" CHORUS_SCREENSHOTS="$(CURDIR)/docs/screenshots" \
		cargo test --test it -- dashboard::pages
	@pngquant --force --ext .png --quality 70-95 --skip-if-larger docs/screenshots/*.png

run: ## Start the server from this source
	@scripts/need cargo cc git tmux
	@cargo run -- serve $(ARGS)

lint: ## Check formatting, clippy's lints, and the dependencies' licences and sources
	@scripts/need cargo cc cargo-fmt cargo-clippy cargo-deny
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo deny check --hide-inclusion-graph licenses bans sources

clean-demo: ## Remove what the demo made
	rm -rf .demo
