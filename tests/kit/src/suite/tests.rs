//! The list of the suite's tests, and the macros that make a `#[test]` of each.
//!
//! A test that is missing here is never used, and the compiler warns about it.

/// Declares the tests of one connection, which every [`SocketDriver`](crate::suite::SocketDriver) must pass, for the driver of
/// this name.
#[macro_export]
macro_rules! socket_driver_tests {
    ($driver:ident) => {
        $crate::socket_driver_tests!(@list tests $driver);
    };
    (@list $items:ident $($driver:ident)?) => {
        $crate::suite_items! { $items $($driver)?;
            connection {
                what_is_there_is_read_before_a_passed_deadline_takes_effect
                a_deadline_with_nothing_to_read_takes_effect
                each_read_is_told_with_a_time_of_its_own
                stop_and_abort_wake_a_connection_that_waits_to_read
                commands_wake_a_connection_that_waits_to_read_and_wait_for_credit
                a_reset_is_told_with_its_error
                bytes_that_nobody_read_are_counted
                a_panic_resets_the_connection_instead_of_ending_it
                a_peer_that_floods_does_not_keep_a_stop_from_being_heard
                a_machine_that_goes_on_after_a_failure_is_a_panic_not_a_loop
                #[cfg(target_os = "linux")]
                what_came_before_a_write_failed_is_read
                urgent_bytes_are_bytes
                #[cfg(target_os = "linux")]
                what_follows_urgent_bytes_is_read
                #[cfg(not(windows))]
                what_a_reset_destroys_is_counted
            }
            events {
                a_full_channel_of_events_holds_the_session_back_and_loses_nothing
                room_that_comes_right_after_the_look_for_it_is_seen
                an_abort_ends_a_session_whose_events_are_not_received
                a_channel_whose_receiver_is_dropped_holds_nothing_back
            }
            interrupts {
                stop_and_abort_are_seen_within_32_actions
                a_command_waits_until_a_machine_that_is_interrupted_waits
            }
        }
    };
}

/// Declares the tests of a server and of clients, which every [`Backend`](roundtrip_net::Backend) must pass, for what the function of
/// this name returns.
#[macro_export]
macro_rules! backend_tests {
    ($backend:ident) => {
        $crate::backend_tests!(@list backend_tests $backend);
    };
    (@list $items:ident $($backend:ident)?) => {
        $crate::suite_items! { $items $($backend)?;
            application {
                a_server_answers_the_events_of_a_session_by_command
                a_client_answers_the_events_of_a_session_by_command
                a_server_is_given_the_message_of_a_panic
                counters_of_a_server_are_read_while_it_runs
            }
            clients {
                every_stream_is_driven_to_its_end_and_told_by_its_number
                sessions_are_driven_while_others_are_still_connecting
                a_control_reaches_its_session
                no_streams_are_nothing_to_wait_for
                a_panic_resets_its_connection_and_reaches_the_caller
            }
            duplex {
                sessions_stream_64_mib_both_ways_at_once
            }
            hub {
                what_one_says_all_hear_in_the_same_order
                a_hub_ends_sessions_and_mail_to_those_that_are_gone_says_so
                each_is_the_hub_that_shares_nothing
            }
            misbehaving {
                a_misbehaving_machine_ends_its_own_connection_only
                stop_and_force_reach_a_machine_that_never_waits
                a_misbehaving_client_ends_and_the_others_finish
            }
            server {
                everything_comes_back_and_the_end_is_clean
                many_clients_at_once_each_get_their_own_bytes
                a_client_that_stops_reading_is_held_back_in_bounded_memory
                a_reset_ends_one_connection_only
                a_stop_lets_a_client_finish_and_loses_nothing
                clients_in_the_backlog_are_served_before_a_drain_closes_the_listener
                a_client_that_is_admitted_during_a_drain_is_stopped_like_the_others
                force_ends_a_drain_at_once
                force_is_heard_after_a_stop_was
                a_server_for_one_client_closes_its_listener_after_the_accept
                more_than_a_sources_share_is_refused
                a_panicking_application_resets_its_connection_and_the_others_go_on
                a_busy_listener_does_not_starve_the_others
            }
        }
    };
}

/// Declares the tests that every [`DatagramDriver`](crate::suite::DatagramDriver) must pass, for the driver of this name.
#[macro_export]
macro_rules! datagram_driver_tests {
    ($driver:ident) => {
        $crate::datagram_driver_tests!(@list tests $driver);
    };
    (@list $items:ident $($driver:ident)?) => {
        $crate::suite_items! { $items $($driver)?;
            datagrams {
                every_datagram_comes_back_over_udp
                every_datagram_comes_back_over_udp_on_ipv6
                #[cfg(unix)]
                every_datagram_comes_back_over_a_unix_socket
                #[cfg(target_os = "linux")]
                a_unix_socket_whose_queue_is_full_keeps_nobody_waiting
                #[cfg(target_os = "linux")]
                unix_peers_that_never_read_silence_nobody
                an_empty_datagram_is_one
                #[cfg(target_os = "linux")]
                that_nobody_is_there_is_told_at_once
                an_abort_reaches_it_while_it_waits
                what_is_there_is_received_before_a_passed_deadline_takes_effect
            }
        }
    };
}

/// What is made of a list: a `#[test]` of each, or the public names that those call.
#[doc(hidden)]
#[macro_export]
macro_rules! suite_items {
    (tests $driver:ident; $($module:ident { $($(#[$only:meta])* $test:ident)* })*) => {
        $(mod $module {
            $($(#[$only])*
            #[test]
            fn $test() {
                $crate::suite::tests::$module::$test::<super::$driver>();
            })*
        })*
    };
    (backend_tests $backend:ident; $($module:ident { $($(#[$only:meta])* $test:ident)* })*) => {
        $(mod $module {
            $($(#[$only])*
            #[test]
            fn $test() {
                $crate::suite::tests::$module::$test(super::$backend());
            })*
        })*
    };
    (exports; $($module:ident { $($(#[$only:meta])* $test:ident)* })*) => {
        $(pub mod $module {
            $($(#[$only])*
            pub use super::super::$module::$test;)*
        })*
    };
}

socket_driver_tests!(@list exports);
backend_tests!(@list exports);
datagram_driver_tests!(@list exports);
