# Milonga. As root on Debian 12 with the Swift toolchain:
#   make run    plays the tango tutorial
#   make test   runs the whole test suite
#   make lint   checks style, imports and documents
# They install the Debian packages that are missing. CONTRIBUTING.md explains all targets.

.DEFAULT_GOAL := build
.PHONY: build run test check-memory bench soak fuzz lint packages packages-test packages-lint clean

# Debian packages for building and running. The tests need more, because they compare with the originals.
PACKAGES := liblua5.4-dev pkg-config
TEST_PACKAGES := $(PACKAGES) lua5.4 lua-socket lua-cjson lua-sec openssl lua5.1 lua-copas lua-coxpcall gcc libzmq5
LINT_PACKAGES := python3 lua-check shellcheck clang-format

# The products contain the Swift runtime and libstdc++: loading these would take longer than all else at start-up.
# The linker finds only the static libstdc++ in this folder.
STATIC_LIBRARIES := .build/static-libraries
STATIC := --static-swift-stdlib -Xlinker -L$(CURDIR)/$(STATIC_LIBRARIES) \
	-Xswiftc -Xclang-linker -Xswiftc -static-libgcc
# The tests run with exclusivity checks; released code does not pay for them. Optimizing across modules when linking
# saves 9 % of the instructions of a message, and 16 % where SwiftNIO serves it.
RELEASE := -c release $(STATIC) -Xswiftc -enforce-exclusivity=unchecked --experimental-lto-mode full

# The tests of the products that stand on SwiftNIO.
ASYNCHRONOUS := ^TangoTests\.|^DeviceRPCTests\.

SANITIZED := --sanitize=address --scratch-path .build/sanitized

build: packages
	@mkdir -p build $(STATIC_LIBRARIES)
	@ln -sf "$$(clang++ -print-file-name=libstdc++.a)" $(STATIC_LIBRARIES)/libstdc++.a
	swift build $(RELEASE) --product MilongaModule
	@# SwiftPM links shared libraries to the shared runtime; this one has to work without it. Linking optimizes, which
	@# takes half a minute of one processor; the executable is linked on another one meanwhile. nodelete: lua5.4 unloads
	@# its modules when it closes the state, while threads of this one may still be at work.
	swiftc -emit-library -lto=llvm-full -static-stdlib -o build/milonga.so -L$(STATIC_LIBRARIES) \
		-Xclang-linker -static-libgcc -Xlinker --gc-sections -Xlinker -z -Xlinker nodelete \
		@.build/release/MilongaModule.product/Objects.LinkFileList & link=$$!; \
	swift build $(RELEASE) --product milonga; status=$$?; \
	wait $$link && exit $$status
	@cp -f .build/release/milonga build/milonga
	@ln -sf milonga build/copas

run: build
	build/milonga Examples/tango/tutorial.lua

test: packages-test
	swift build --build-tests
	$(MAKE) --no-print-directory build
	@# These tests need Swift's few threads. Most other tests hold a thread while they wait for a program.
	Scripts/run-tests --filter '$(ASYNCHRONOUS)'
	@# The tests of C code, and of Swift code with pointers, run once more with AddressSanitizer. The part on SwiftNIO
	@# has neither, and takes minutes to build, so this build leaves it out. It runs beside the other tests.
	@MILONGA_WITHOUT_NIO=1 nice -n 19 swift build --build-tests $(SANITIZED) > .build/sanitized.log 2>&1 & \
	build=$$!; status=0; \
	Scripts/run-tests --skip '$(ASYNCHRONOUS)' || status=$$?; \
	wait $$build || { cat .build/sanitized.log; exit 1; }; \
	exit $$status
	@# AddressSanitizer keeps freed memory for a while; with a small quarantine the tests of a server's memory hold.
	MILONGA_WITHOUT_NIO=1 MILONGA_CHECK_MEMORY=some ASAN_OPTIONS=quarantine_size_mb=4 \
		LSAN_OPTIONS=suppressions=$(CURDIR)/Tests/leaks.supp:print_suppressions=0 \
		Scripts/run-tests $(SANITIZED) \
		--filter 'LuaTests|CopasTests|LuaRPCTests|XPIOTests|ProcessTests|FailureTests'

# Options for the driver go into BENCH: make bench BENCH="--case 'tango-*' --rounds 9"
bench: build build/bench-echo build/bench-load build/bench-peer bench-tango
	python3 Benchmarks/bench.py $(BENCH)

# Ten minutes; options go into SOAK: make soak SOAK="--seconds 60"
soak: build
	build/milonga Tests/Soak/soak.lua $(SOAK)

# Calls every function with arguments of every kind, on both hosts. Options go into FUZZ: make fuzz FUZZ="--calls 1000000 --seed 7"
fuzz: build packages-test
	MILONGA=$(CURDIR)/build/milonga lua5.4 Tests/ObjectTests/Scripts/hostile.lua --calls 100000 $(FUZZ)
	MILONGA_MODULE=$(CURDIR)/build lua5.4 Tests/ObjectTests/Scripts/hostile.lua --host module --calls 100000 $(FUZZ)
	@# A million mutated conversations of tango/2.
	MILONGA_WITHOUT_NIO=1 swift build --build-tests --scratch-path .build/fuzz
	MILONGA_WITHOUT_NIO=1 MILONGA_FUZZ=1000000 Scripts/run-tests --scratch-path .build/fuzz --filter Tango2FuzzTests

# Lets each allocation of the test scripts fail once. It takes some minutes.
check-memory:
	swift build --build-tests
	MILONGA_CHECK_MEMORY=all swift test --skip-build --filter MemoryTests

.PHONY: bench-tango
bench-tango:
	swift build $(RELEASE) --product tango-swift
	@cp .build/release/tango-swift build/bench-tango

build/bench-%: Benchmarks/%.c
	@mkdir -p build
	cc -O2 -Wall -Wextra -o $@ $<

# Folders that hold code of each language.
CODE := Sources Tests Examples Benchmarks

lint: packages-lint
	swift format lint --strict --recursive Package.swift $(CODE)
	Scripts/check-imports
	Scripts/check-documents
	luacheck $(CODE) share
	shellcheck .ci/run $$(grep -lE '^#!/bin/(ba)?sh' Scripts/*)
	clang-format --dry-run --Werror $$(find Sources Benchmarks -name '*.[ch]')

packages:
	@Scripts/install-packages $(PACKAGES)

packages-test:
	@Scripts/install-packages $(TEST_PACKAGES)

packages-lint:
	@Scripts/install-packages $(LINT_PACKAGES)

clean:
	rm -rf .build build
