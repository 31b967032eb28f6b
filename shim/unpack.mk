# gantry-unpack, the layer extractor, gantry-pack, its counterpart, and gantry-copy, which does file ops of builds: static, so that they need nothing after their chroot.
# make -f unpack.mk links them against the system's own libc, unless CC and SYSTEM say otherwise.
UNPACK_SRC := $(wildcard unpack*.c) $(wildcard layer*.c)
PACK_SRC := $(wildcard pack*.c) $(wildcard layer*.c)
COPY_SRC := $(wildcard copy*.c) $(wildcard layer*.c)
# How tars are written and read is what the layers' programs do.
ARCHIVE_SRC := $(wildcard archive*.c) $(wildcard layer*.c) pack-out.c pack-header.c pack-xattrs.c pack-made.c \
  $(addprefix unpack-,read.c header.c pax.c sparse.c path.c make.c times.c recipe.c)
UNPACK_WARN := -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -Wshadow -Wconversion -Wno-sign-conversion

all: build/gantry-unpack build/gantry-pack build/gantry-copy build/gantry-archive

build/gantry-unpack: $(UNPACK_SRC) unpack.h layer.h unpack.mk
	@mkdir -p $(@D)
	@echo LINK $@; $(CC) $(SYSTEM) -O2 $(UNPACK_WARN) -fstack-protector-strong -static -s -o $@.new $(UNPACK_SRC) && mv $@.new $@

build/gantry-pack: $(PACK_SRC) pack.h layer.h unpack.mk
	@mkdir -p $(@D)
	@echo LINK $@; $(CC) $(SYSTEM) -O2 $(UNPACK_WARN) -fstack-protector-strong -static -s -o $@.new $(PACK_SRC) && mv $@.new $@

build/gantry-archive: $(ARCHIVE_SRC) archive.h layer.h pack.h unpack.h unpack.mk
	@mkdir -p $(@D)
	@echo LINK $@; $(CC) $(SYSTEM) -O2 $(UNPACK_WARN) -fstack-protector-strong -static -s -o $@.new $(ARCHIVE_SRC) && mv $@.new $@

build/gantry-copy: $(COPY_SRC) copy.h layer.h unpack.mk
	@mkdir -p $(@D)
	@echo LINK $@; $(CC) $(SYSTEM) -O2 $(UNPACK_WARN) -fstack-protector-strong -static -s -o $@.new $(COPY_SRC) && mv $@.new $@

# With ASan and UBSan, for the corpus of hostile archives (GANTRY_UNPACK=shim/build/gantry-unpack-asan, GANTRY_PACK=…-pack-asan).
build/gantry-unpack-asan: $(UNPACK_SRC) unpack.h layer.h unpack.mk
	@mkdir -p $(@D)
	@echo SANITIZE $@; gcc -O1 -g $(UNPACK_WARN) -fsanitize=address,undefined -fno-sanitize-recover=all -o $@ $(UNPACK_SRC)

build/gantry-pack-asan: $(PACK_SRC) pack.h layer.h unpack.mk
	@mkdir -p $(@D)
	@echo SANITIZE $@; gcc -O1 -g $(UNPACK_WARN) -fsanitize=address,undefined -fno-sanitize-recover=all -o $@ $(PACK_SRC)

build/gantry-archive-asan: $(ARCHIVE_SRC) archive.h layer.h pack.h unpack.h unpack.mk
	@mkdir -p $(@D)
	@echo SANITIZE $@; gcc -O1 -g $(UNPACK_WARN) -fsanitize=address,undefined -fno-sanitize-recover=all -o $@ $(ARCHIVE_SRC)

build/gantry-copy-asan: $(COPY_SRC) copy.h layer.h unpack.mk
	@mkdir -p $(@D)
	@echo SANITIZE $@; gcc -O1 -g $(UNPACK_WARN) -fsanitize=address,undefined -fno-sanitize-recover=all -o $@ $(COPY_SRC)

sanitize: build/gantry-unpack-asan build/gantry-pack-asan build/gantry-copy-asan build/gantry-archive-asan

.PHONY: all sanitize
