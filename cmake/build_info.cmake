# Run at every build: the commit may have moved. OUT is touched only when its text changes.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --tags OUTPUT_VARIABLE commit
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed OR commit STREQUAL "")
    set(commit "unknown")
endif()
file(CONFIGURE OUTPUT ${OUT} @ONLY CONTENT
"/* Generated at build time. */
#ifndef TG_TOOLS_BUILD_INFO_H
#define TG_TOOLS_BUILD_INFO_H

#define TG_BUILD_COMMIT \"@commit@\"
#define TG_BUILD_TYPE \"@TYPE@\"
#define TG_BUILD_COMPILER \"@COMPILER@\"

#endif
")
