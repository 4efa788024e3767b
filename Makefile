# Milonga. As root on Debian 12 with the Swift toolchain:
#   make run    plays the tango tutorial        make test   runs the whole test suite
# Both install what is missing first.

.DEFAULT_GOAL := build
.PHONY: build run test check-memory bench soak fuzz lint packages packages-test clean

# Debian packages for building and running; more for the tests, which compare with the originals.
PACKAGES := liblua5.4-dev pkg-config
TEST_PACKAGES := $(PACKAGES) lua5.4 lua-socket lua-cjson lua-sec openssl lua5.1 lua-copas lua-coxpcall gcc libzmq5

# The Swift runtime is linked into the products, and so is libstdc++: loading it would take longer
# than all else at start-up. The linker finds only the static one in this folder.
STATIC_LIBRARIES := .build/static-libraries
STATIC := --static-swift-stdlib -Xlinker -L$(CURDIR)/$(STATIC_LIBRARIES) \
	-Xswiftc -Xclang-linker -Xswiftc -static-libgcc
# The tests run with exclusivity checks; released code has passed them and does without their cost. Optimizing across
# modules when linking saves 9 % of the instructions of a message, and 16 % where SwiftNIO serves it.
RELEASE := -c release $(STATIC) -Xswiftc -enforce-exclusivity=unchecked --experimental-lto-mode full

# The tests of what stands on SwiftNIO.
ASYNCHRONOUS := ^TangoTests\.|^DeviceRPCTests\.

SANITIZED := --sanitize=address --scratch-path .build/sanitized

build: packages
	@mkdir -p build $(STATIC_LIBRARIES)
	@ln -sf "$$(clang++ -print-file-name=libstdc++.a)" $(STATIC_LIBRARIES)/libstdc++.a
	swift build $(RELEASE) --product MilongaModule
	@# SwiftPM links shared libraries to the shared runtime; this one has to work without it. Linking optimizes, and
	@# takes one processor half a minute; the other one links the executable. lua5.4 unloads its modules when it closes
	@# the state; threads of this one may still be at work (nodelete).
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
	@# Most tests wait for programs and keep Swift's few threads meanwhile; these need them.
	Scripts/run-tests --filter '$(ASYNCHRONOUS)'
	@# Once more with AddressSanitizer, for the C shims and what Swift does with pointers; without the part
	@# on SwiftNIO, which has neither, and would take minutes to build. The build uses what time the tests leave.
	@MILONGA_WITHOUT_NIO=1 nice -n 19 swift build --build-tests $(SANITIZED) > .build/sanitized.log 2>&1 & \
	build=$$!; status=0; \
	Scripts/run-tests --skip '$(ASYNCHRONOUS)' || status=$$?; \
	wait $$build || { cat .build/sanitized.log; exit 1; }; \
	exit $$status
	@# What was freed is kept for a while, but not so much that tests of a server's memory see it.
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

# Calls everything with anything, on both hosts. Options go into FUZZ: make fuzz FUZZ="--calls 1000000 --seed 7"
fuzz: build packages-test
	MILONGA=$(CURDIR)/build/milonga lua5.4 Tests/ObjectTests/Scripts/hostile.lua --calls 100000 $(FUZZ)
	MILONGA_MODULE=$(CURDIR)/build lua5.4 Tests/ObjectTests/Scripts/hostile.lua --host module --calls 100000 $(FUZZ)

# Lets each allocation of the test scripts fail once; some minutes.
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

lint:
	swift format lint --strict --recursive Package.swift Sources Tests

packages:
	@Scripts/install-packages $(PACKAGES)

packages-test:
	@Scripts/install-packages $(TEST_PACKAGES)

clean:
	rm -rf .build build
