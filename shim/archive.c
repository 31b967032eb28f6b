// Stub until gantry-archive is built.
#include "archive.h"

int main(void) { return 3; }
