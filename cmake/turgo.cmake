# One function per kind of target; folders hold nothing but sources.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
option(TURGO_TESTS "build tests, perf and bench" ON)
option(TURGO_LTO "link the command as a whole program (gcc): about 4 % on the benchmark" OFF)
option(TURGO_FUZZ "build libFuzzer targets (clang)" OFF)

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wvla -Werror
                    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes$<SEMICOLON>-Wmissing-prototypes>
                    -fno-omit-frame-pointer)
if(TURGO_FUZZ) # everything counts its edges; only the fuzz targets get libFuzzer's main
    add_compile_options(-fsanitize=fuzzer-no-link)
    add_link_options(-fsanitize=fuzzer-no-link)
endif()
add_compile_definitions(_GNU_SOURCE TURGO_VERSION="${PROJECT_VERSION}")
include_directories(${CMAKE_SOURCE_DIR})

# tg_module(NAME [DEPS module...] [LIBS library...]): static library tg_NAME of every .c and .cpp in NAME/ and one level of
# folders below it. engine/sim is not part of the engine.
function(tg_module name)
    cmake_parse_arguments(arg "" "" "DEPS;LIBS" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${name}/*.c ${name}/*.cpp ${name}/*/*.c ${name}/*/*.cpp)
    list(FILTER sources EXCLUDE REGEX "/engine/sim/")
    list(TRANSFORM arg_DEPS PREPEND tg_)
    if(sources)
        add_library(tg_${name} STATIC ${sources})
        target_link_libraries(tg_${name} PUBLIC ${arg_DEPS} ${arg_LIBS})
        if(TURGO_LTO) # both kinds of code: tests link the ordinary one and stay quick to build
            target_compile_options(tg_${name} PRIVATE -flto -ffat-lto-objects)
        endif()
    else()
        add_library(tg_${name} INTERFACE)
        target_link_libraries(tg_${name} INTERFACE ${arg_DEPS} ${arg_LIBS})
    endif()
endfunction()

# tg_test(FILE [DEPS module...]): one Criterion suite; a filter or a build that runs nothing is a failure.
function(tg_test file)
    cmake_parse_arguments(arg "" "" "DEPS;LIBS" ${ARGN})
    get_filename_component(name ${file} NAME_WE)
    list(TRANSFORM arg_DEPS PREPEND tg_)
    add_executable(${name} ${file})
    target_link_libraries(${name} PRIVATE ${arg_DEPS} ${arg_LIBS} criterion)
    if(TURGO_LTO)
        target_link_options(${name} PRIVATE -fno-lto)
    endif()
    add_test(NAME ${name} COMMAND ${name} -j1)
    set_tests_properties(${name} PROPERTIES FAIL_REGULAR_EXPRESSION "Tested: 0" TIMEOUT 300)
endfunction()

# tg_program(FILE [DEPS module...]): a plain main() (stress tests, perf, bench).
function(tg_program file)
    cmake_parse_arguments(arg "" "" "DEPS;LIBS" ${ARGN})
    get_filename_component(name ${file} NAME_WE)
    list(TRANSFORM arg_DEPS PREPEND tg_)
    add_executable(${name} ${file})
    target_link_libraries(${name} PRIVATE ${arg_DEPS} ${arg_LIBS})
    if(TURGO_LTO)
        target_link_options(${name} PRIVATE -fno-lto)
    endif()
endfunction()
