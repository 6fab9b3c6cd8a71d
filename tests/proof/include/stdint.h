// What the proven files need of <stdint.h>, for a parser that does not know the system's.
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long int64_t;
typedef unsigned long uint64_t;
typedef long wide128;
#define __int128 wide128
#define __extension__
#define UINT64_C(value) value##UL
